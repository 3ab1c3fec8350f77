"""Telegram: documents come from chats, and chats are told what became of them.

    door        POST /telegram: whose update it is; a row, and 200
    updates     what is read of an update
    captions    the matter and the note in a caption
    work        one update, or one album, from its row to its end
    fetching    the bytes of a file, bounded
    binding     the pictures of an album as one PDF
    commands    /status, /search, /cost, /pause, /resume, /help
    replies     what a chat is told of what it sent, as it proceeds and at the end
    digests     what a bulk came to, whatever door it came through
    wording     the words of all that
    links       links that expire, made when a message is sent
    telling     brings chats to show what they should
    service     the loops that do this while the gateway runs

States, and what a kill at any point costs, are drawn in migration 0009.
"""
