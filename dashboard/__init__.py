"""The dashboard: costs first, then documents, sessions and hosts. It only reads.

app.py        what Streamlit runs
page.py       the page as a whole: what is shown when, and what if a server is away
data.py       loads rows, through the read-only role, and keeps them for seconds
costs.py      a month's figures, computed from charges; draws nothing
spending.py   the part about money
work.py       the part about documents, sessions and hosts
wording.py    sums and reasons as people read them
"""
