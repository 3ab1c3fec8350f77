"""Claude as the analyst of documents.

    steps       which questions a document still needs, from what became of those before (pure)
    prompt      how a question is put: instructions, pages as data, the schema of the answer
    pictures    the pages as pictures that the model can read
    questions   a question, ready to send, with the most it can cost
    calling     one question asked and its answer settled, with retries that are counted
    batches     many questions asked for the night, at half the price
    answers     what came back: an answer, or by name why there is none
    merging     one analysis from those of a document's parts
    analyst     one document, from its text to its analysis
    draining    every document that waits
    pricing     what it costs

Nothing here knows of Prefect: `tasks.analysis` makes tasks of it. What is asked, answered and
paid is in Postgres before and after every request (`sql.claude`), so a process that dies leaves
nothing behind that the next one does not find:

    dies before the intent is committed     nothing was asked; the job's claim runs out
    between intent and request              the call is marked lost, although it never was sent:
                                            its reserve counts as spent until the month is over
    between request and answer, or before
    the answer is stored                    the same; it may have been paid once for nothing
    after the answer is stored              the next process finds it and asks only for the rest
    while a batch is created                it is looked for in the account's list, known again by
                                            its requests' ids, and never created twice
"""
