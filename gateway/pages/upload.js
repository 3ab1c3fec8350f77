// Sends the chosen file as it is and shows how far it is; the server streams it to disk.
const form = document.querySelector("form");
const file = document.querySelector("#file");
const button = document.querySelector("button");
const progress = document.querySelector("#progress");
const told = document.querySelector("#told");

function tell(text, wrong = false) {
  told.textContent = text;
  told.classList.toggle("wrong", wrong);
}

function reasonOf(request) {
  try {
    const detail = JSON.parse(request.responseText).detail;
    return typeof detail === "string" ? detail : detail.map((one) => one.what).join(" ");
  } catch {
    return "Something went wrong on the way. Try again.";
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const chosen = file.files[0];
  const request = new XMLHttpRequest();
  request.open("POST", `${location.pathname}?path=${encodeURIComponent(chosen.name)}`);
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    progress.value = total ? loaded / total : 0;
    tell(`${Math.floor(progress.value * 100)} % sent`);
  });
  request.addEventListener("load", () => {
    if (request.status === 200) {
      form.querySelectorAll("label, input, button, progress").forEach((one) => one.remove());
      tell("Received. You may close this page.");
      return;
    }
    button.disabled = false;
    progress.hidden = true;
    tell(reasonOf(request), true);
  });
  request.addEventListener("error", () => {
    button.disabled = false;
    progress.hidden = true;
    tell("The connection was lost. Try again.", true);
  });
  button.disabled = true;
  progress.hidden = false;
  request.send(chosen);
});
