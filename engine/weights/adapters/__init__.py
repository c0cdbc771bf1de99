"""Adapters: small files that change the weights of a network, such as LoRA.

One module per kind holds its algebra (`low_rank`, `magnitude`, `difference`), `applying` adds them to a weight. From a
file to a network: `keys` takes its names apart, `slots` knows the parameters of ours under every name they go by,
`matching` brings the two together from headers alone, `reading` fetches the tensors.
"""
