"""The older HTTP interface ``/sdapi/v1/…``: its requests become workflows on the same queue as everything else.

`requests` reads what was posted, `templates` and `mask_work` turn it into API prompts without looking at a server,
`generations` queues them and waits, `parameters` writes and reads the text that its pictures carry.
"""
