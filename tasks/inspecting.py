"""The program that looks at files: `python -m tasks.inspecting`, told which ones line by line.

It is started once and looks at one file after the other (`tasks.inspector` is who asks). A
line on its input is a `Question`; when the answer lies in the folder that was named, a line
on its output says so. It ends with its input, so that it never outlives who started it.

What it cannot survive (a parser that crashes, loops or asks for more memory than there is)
ends it, and the next file finds a new one: nothing of a file stays.
"""

import sys

from blocks.confinement import limit_file_size, limit_memory, limit_no_seconds, limit_seconds
from schema.failures import BadInput
from tasks.inspected import ANSWERED, MAX_MEMBERS_BYTES, NO_DISK, Answer, Question
from tasks.inspection import inspect

TOO_MUCH_MEMORY = "To read it would take more memory than there is for a file."


def answer(question: Question) -> Answer:
    """Look at the file. Never raises for what the file is."""
    try:
        return Answer(inspection=inspect(question.path, question.folder, question.room))
    except BadInput as error:
        return Answer(refused=str(error))
    except MemoryError:
        return Answer(refused=TOO_MUCH_MEMORY)
    except RecursionError:
        return Answer(refused="It is nested too deeply to be read.")
    except OSError as error:
        return Answer(disk_error=error.errno or 0)


def main() -> None:
    """Answer until there are no more questions; the most memory comes as an argument."""
    limit_memory(int(sys.argv[1]))
    limit_file_size(MAX_MEMBERS_BYTES)
    for line in sys.stdin.buffer:
        question = Question.model_validate_json(line)
        limit_seconds(question.cpu_seconds, question.wall_seconds)
        said = ANSWERED
        try:
            question.answer_path.write_bytes(answer(question).model_dump_json().encode())
        except OSError as error:
            said = b"%s%d\n" % (NO_DISK, error.errno or 0)
        limit_no_seconds()
        sys.stdout.buffer.write(said)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
