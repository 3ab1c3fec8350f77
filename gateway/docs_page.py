"""`/docs`: every call of the gateway with its fields, for people who write a client.

The page is Redoc's, from a package, not from a CDN: it loads nothing from elsewhere, asks for
nothing but `/openapi.json`, and can call none of what it describes.
"""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from fastapi.openapi.docs import get_redoc_html
from fastapi.responses import FileResponse, HTMLResponse

SCRIPT = "/docs/redoc.js"
# The package is FastAPI with these files beside it; only they are wanted.
_FILES = Path(str(files("fastapi_offline") / "static"))

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    # Redoc styles its elements where they stand, and searches in a worker.
    "style-src 'unsafe-inline'; img-src data:; worker-src blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}
_FOR_A_DAY = {"Cache-Control": "public, max-age=86400"}

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs() -> HTMLResponse:
    """The page, which reads `/openapi.json`."""
    page = get_redoc_html(
        openapi_url="/openapi.json",
        title="ASEAGI gateway",
        redoc_js_url=SCRIPT,
        redoc_favicon_url="data:,",
        with_google_fonts=False,
    )
    page.headers.update(HEADERS)
    return page


@router.get(SCRIPT)
async def script() -> FileResponse:
    """What draws the page."""
    return FileResponse(_FILES / "redoc.standalone.js", headers=_FOR_A_DAY)
