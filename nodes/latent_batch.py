"""Nodes that join, repeat and pick batches of latents, and say which noise each gets."""

from __future__ import annotations

from typing import Annotated

from engine.graph.declare import Choice, Int, Latent, node

Amount = Annotated[int, Int(1, 64)]


@node("LatentBatch", category="latent/batch")
def join(*, samples1: Latent, samples2: Latent) -> Latent:
    """Put latents into one batch.

    samples1: the latents that come first.
    samples2: the latents that come after them, resized to the first.
    """
    from engine.diffusion import latent_batches

    return latent_batches.join(samples1, samples2)


@node("LatentFromBatch", display_name="Latent From Batch", category="latent/batch")
def pick(*, samples: Latent, batch_index: Annotated[int, Int(0, 63)] = 0, length: Amount = 1) -> Latent:
    """Take latents out of a batch; they keep the noise they had in it.

    samples: the batch.
    batch_index: the first one to take, counted from 0; beyond the end takes the last one.
    length: how many to take, at most to the end.
    """
    from engine.diffusion import latent_batches

    return latent_batches.pick(samples, batch_index, length)


@node("RepeatLatentBatch", display_name="Repeat Latent Batch", category="latent/batch")
def repeat(*, samples: Latent, amount: Amount = 1) -> Latent:
    """Repeat a batch of latents; each repeat gets noise of its own.

    samples: the batch.
    amount: how many times it is there afterwards.
    """
    from engine.diffusion import latent_batches

    return latent_batches.repeat(samples, amount)


@node("LatentBatchSeedBehavior", category="latent/advanced")
def seed_behaviour(*, samples: Latent, seed_behavior: Annotated[str, Choice(("random", "fixed"))] = "fixed") -> Latent:
    """Say whether the latents of a batch get different noise.

    samples: the batch.
    seed_behavior: fixed gives all of them the noise of the first, random each its own.
    """
    from engine.diffusion import latent_batches

    return latent_batches.fix_noise(samples) if seed_behavior == "fixed" else latent_batches.vary_noise(samples)


@node("RebatchLatents", display_name="Rebatch Latents", category="latent/batch", input_is_list=True)
def rebatch(*, latents: Latent, batch_size: Annotated[int, Int(1, 4096)] = 1) -> list[Latent]:
    """Deal the latents of a list of batches out to batches of another size, in order; each keeps its noise.

    latents: the batches; a latent that differs in size from the one before begins a new batch.
    batch_size: how many latents each batch has at most.
    """
    from engine.diffusion import latent_batches

    return latent_batches.rebatch(latents, batch_size[0])
