/** The node that loads a kind of model, and its input with the file's name. */
export const LOADERS: Readonly<Record<string, readonly [string, string]>> = {
  checkpoints: ["CheckpointLoaderSimple", "ckpt_name"],
  loras: ["LoraLoader", "lora_name"],
  vae: ["VAELoader", "vae_name"],
  controlnet: ["ControlNetLoader", "control_net_name"],
  upscale_models: ["UpscaleModelLoader", "model_name"],
  clip_vision: ["CLIPVisionLoader", "clip_name"],
  style_models: ["StyleModelLoader", "style_model_name"],
  hypernetworks: ["HypernetworkLoader", "hypernetwork_name"],
  diffusion_models: ["UNETLoader", "unet_name"],
  text_encoders: ["CLIPLoader", "clip_name"],
};
