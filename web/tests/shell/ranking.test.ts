import { expect, test } from "vitest";
import { fuzzy, rank } from "../../src/shell/ranking";

const node = (id: string, title = id, also = "") => ({ id, title, also, category: "" });
const SAMPLERS = ["SamplerCustom", "SamplerCustomAdvanced", "SamplerEulerAncestral", "SamplerLCM", "KSamplerSelect", "KSampler", "KSamplerAdvanced", "BasicScheduler"].map((id) => node(id));

test("sampler gives KSampler first", () => {
  expect(rank("sampler", SAMPLERS, {})[0]?.id).toBe("KSampler");
  expect(rank("ksam", SAMPLERS, {})[0]?.id).toBe("KSampler");
});

test("what is used often comes first", () => {
  expect(rank("sampler", SAMPLERS, { SamplerLCM: 40 })[0]?.id).toBe("SamplerLCM");
});

test("letters may be left out but not change places", () => {
  expect(rank("vaedec", [node("VAEDecode", "VAE Decode"), node("VAEEncode", "VAE Encode")], {}).map((one) => one.id)).toEqual(["VAEDecode"]);
  expect(fuzzy("kspl", "KSampler")).toBeDefined();
  expect(fuzzy("lpsk", "KSampler")).toBeUndefined();
});

test("an exact title wins over everything that begins with it", () => {
  const found = rank("load image", [node("LoadImageMask", "Load Image (as Mask)"), node("X", "Load Image"), node("LoadImageOutput", "Load Image Output")], {});
  expect(found[0]?.id).toBe("X");
});
