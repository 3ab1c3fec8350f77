"""The rehearsal of Claude: an HTTP server that behaves as Anthropic's API does, for nothing.

*Rehearsal, no money.* The official SDK can be pointed at it with `base_url`: it checks
requests as strictly as the real one, counts tokens, caches prompts, answers messages at
once and in batches, and writes down whatever it served. Answers follow from the request
by simple rules (`filling`), so the same question has the same answer. It fails when asked
to (`faults`). Nothing in it knows who calls: it imports none of our own client, and not
the SDK.

    claude = start_claude(Settings(state_dir=Path("claude"), port=20900))
    client = anthropic.Anthropic(base_url=claude.url, api_key=claude.api_key)
    ...
    claude.stop()

What it does not rehearse is refused with a message that says so: streaming, documents,
images by URL or file, citations, server tools, stop sequences, and the pre-warming of a
cache (`max_tokens` 0).
"""

from stack.claude.settings import Settings
from stack.claude.starting import RunningClaude, spawn_claude, start_claude

__all__ = ["RunningClaude", "Settings", "spawn_claude", "start_claude"]
