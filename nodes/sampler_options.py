"""Samplers as nodes, with the options that each of them has."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Boolean, Choice, Float, Int, Model, Sampler, node

CATEGORY = "sampling/custom_sampling/samplers"
Amount = Annotated[float, Float(0.0, 100.0, step=0.01, round=False)]
Percent = Annotated[float, Float(0.0, 1.0, step=0.001)]
NoiseDevice = Annotated[str, Choice(("gpu", "cpu"))]


def _sampler(name: str, **options: Any) -> Any:
    from engine.families.custom_sampling import SamplerRecipe

    return SamplerRecipe(name, options)


@node("SamplerEulerAncestral", category=CATEGORY)
def euler_ancestral(*, eta: Amount = 1.0, s_noise: Amount = 1.0) -> Sampler:
    """Take Euler steps with fresh noise after each.

    eta: share of a step's noise that is fresh; 0 adds none.
    s_noise: factor on the fresh noise.
    """
    return _sampler("euler_ancestral", eta=eta, s_noise=s_noise)


@node("SamplerEulerAncestralCFGPP", display_name="SamplerEulerAncestralCFG++", category=CATEGORY)
def euler_ancestral_cfg_pp(
    *,
    eta: Annotated[float, Float(0.0, 1.0, step=0.01, round=False)] = 1.0,
    s_noise: Annotated[float, Float(0.0, 10.0, step=0.01, round=False)] = 1.0,
) -> Sampler:
    """Take CFG++ steps with fresh noise after each; needs a guider with a negative prompt and a cfg of about 1.

    eta: share of a step's noise that is fresh; 0 adds none.
    s_noise: factor on the fresh noise.
    """
    return _sampler("euler_ancestral_cfg_pp", eta=eta, s_noise=s_noise)


@node("SamplerDPMPP_2S_Ancestral", category=CATEGORY)
def dpmpp_2s_ancestral(*, eta: Amount = 1.0, s_noise: Amount = 1.0) -> Sampler:
    """Take DPM-Solver++(2S) steps with fresh noise after each.

    eta: share of a step's noise that is fresh; 0 adds none.
    s_noise: factor on the fresh noise.
    """
    return _sampler("dpmpp_2s_ancestral", eta=eta, s_noise=s_noise)


@node("SamplerLMS", category=CATEGORY)
def lms(*, order: Annotated[int, Int(1, 100)] = 4) -> Sampler:
    """Take linear multistep steps.

    order: how many steps back to look.
    """
    return _sampler("lms", order=order)


@node("SamplerDPMAdaptative", category=CATEGORY)
def dpm_adaptive(
    *,
    order: Annotated[int, Int(2, 3)] = 3,
    rtol: Amount = 0.05,
    atol: Amount = 0.0078,
    h_init: Amount = 0.05,
    pcoeff: Amount = 0.0,
    icoeff: Amount = 1.0,
    dcoeff: Amount = 0.0,
    accept_safety: Amount = 0.81,
    eta: Amount = 0.0,
    s_noise: Amount = 1.0,
) -> Sampler:
    """Choose the steps while sampling, as long as the error allows; the schedule only gives the two ends.

    order: of the solver.
    rtol: error allowed, relative to the values.
    atol: error allowed for values near 0.
    h_init: length of the first step, in log sigma.
    pcoeff: how the step length follows the error.
    icoeff: how it follows the sum of errors.
    dcoeff: how it follows the change of errors.
    accept_safety: how readily a step is accepted; more is stricter.
    eta: share of a step's noise that is fresh; 0 adds none.
    s_noise: factor on the fresh noise.
    """
    return _sampler(
        "dpm_adaptive",
        order=order,
        rtol=rtol,
        atol=atol,
        h_init=h_init,
        pcoeff=pcoeff,
        icoeff=icoeff,
        dcoeff=dcoeff,
        accept_safety=accept_safety,
        eta=eta,
        s_noise=s_noise,
    )


@node("SamplerDPMPP_SDE", category=CATEGORY)
def dpmpp_sde(*, eta: Amount = 1.0, s_noise: Amount = 1.0, r: Amount = 0.5, noise_device: NoiseDevice) -> Sampler:
    """Take stochastic DPM-Solver++ steps with a stop on the way.

    eta: share of a step's noise that is fresh; 0 adds none.
    s_noise: factor on the fresh noise.
    r: where on the step to stop and ask the model again.
    noise_device: makes no difference here: noise is always drawn on the CPU.
    """
    return _sampler(_on("dpmpp_sde", noise_device), eta=eta, s_noise=s_noise, r=r)


@node("SamplerDPMPP_2M_SDE", category=CATEGORY)
def dpmpp_2m_sde(
    *,
    solver_type: Annotated[str, Choice(("midpoint", "heun"))],
    eta: Amount = 1.0,
    s_noise: Amount = 1.0,
    noise_device: NoiseDevice,
) -> Sampler:
    """Take stochastic DPM-Solver++ steps that use the last prediction too.

    solver_type: how the last prediction is used.
    eta: share of a step's noise that is fresh; 0 adds none.
    s_noise: factor on the fresh noise.
    noise_device: makes no difference here: noise is always drawn on the CPU.
    """
    return _sampler(_on("dpmpp_2m_sde", noise_device), solver_type=solver_type, eta=eta, s_noise=s_noise)


@node("SamplerDPMPP_3M_SDE", category=CATEGORY)
def dpmpp_3m_sde(*, eta: Amount = 1.0, s_noise: Amount = 1.0, noise_device: NoiseDevice) -> Sampler:
    """Take stochastic DPM-Solver++ steps that use the last two predictions too.

    eta: share of a step's noise that is fresh; 0 adds none.
    s_noise: factor on the fresh noise.
    noise_device: makes no difference here: noise is always drawn on the CPU.
    """
    return _sampler(_on("dpmpp_3m_sde", noise_device), eta=eta, s_noise=s_noise)


@node("SamplerER_SDE", category=CATEGORY)
def er_sde(
    *,
    solver_type: Annotated[str, Choice(("ER-SDE", "Reverse-time SDE", "ODE"))],
    max_stage: Annotated[int, Int(1, 3)] = 3,
    eta: Amount = 1.0,
    s_noise: Amount = 1.0,
) -> Sampler:
    """Take steps of the extended reverse-time SDE, or of its special cases.

    solver_type: how much noise belongs to each noise level; ODE adds none.
    max_stage: highest order of a step.
    eta: share of fresh noise, for the reverse-time SDE only.
    s_noise: factor on the fresh noise; has no effect for ODE.
    """
    return _sampler("er_sde", solver_type=solver_type, max_stage=max_stage, eta=eta, s_noise=s_noise)


@node("SamplerSASolver", category=CATEGORY)
def sa_solver(
    *,
    model: Model,
    eta: Annotated[float, Float(0.0, 10.0, step=0.01, round=False)] = 1.0,
    sde_start_percent: Percent = 0.2,
    sde_end_percent: Percent = 0.8,
    s_noise: Amount = 1.0,
    predictor_order: Annotated[int, Int(1, 6)] = 3,
    corrector_order: Annotated[int, Int(0, 6)] = 4,
    use_pece: Annotated[bool, Boolean()],
    simple_order_2: Annotated[bool, Boolean()],
) -> Sampler:
    """Take stochastic Adams steps, each corrected by the next prediction.

    model: the diffusion model; the percents are taken of the noise levels of the one that samples.
    eta: how much noise the process has between the two percents.
    sde_start_percent: where noise begins, as a share of the way.
    sde_end_percent: where noise ends.
    s_noise: factor on the noise.
    predictor_order: how many predictions a step uses.
    corrector_order: how many its correction uses; 0 corrects nothing.
    use_pece: ask the model again after each correction, which takes twice as long.
    simple_order_2: use simpler weights where the order is 2.
    """
    return _sampler(
        "sa_solver",
        eta=eta,
        sde_start_percent=sde_start_percent,
        sde_end_percent=sde_end_percent,
        s_noise=s_noise,
        predictor_order=predictor_order,
        corrector_order=corrector_order,
        use_pece=use_pece,
        simple_order_2=simple_order_2,
    )


def _on(name: str, device: str) -> str:
    return name + "_gpu" if device == "gpu" else name
