"""Diffusion maths: schedules, samplers, guidance, conditioning, latents and noise. Tensors in, tensors out."""
