"""Jobs in a process of their own: what starts the compute side, talks to it, ends it and starts it again.

supervisor (this process, no torch)  <- frames over a socket pair ->  worker (Session, torch, nodes)
"""
