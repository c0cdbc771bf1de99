import { expect, test } from "vitest";
import { gaugesIn } from "../../src/shell/memory/readings";

const GIB = 2 ** 30;
const machine = {
  system: { ram_total: 16 * GIB, ram_free: 4 * GIB },
  devices: [
    { name: "cpu", type: "cpu", vram_total: 16 * GIB, vram_free: 4 * GIB },
    { name: "cuda:0 NVIDIA RTX 4060", type: "cuda", vram_total: 8 * GIB, vram_free: 2 * GIB },
  ],
};
const METRICS = `# HELP safelight_up_seconds Seconds since the server started.
# TYPE safelight_up_seconds gauge
safelight_up_seconds 12.5
# HELP safelight_worker_held_bytes Memory that the worker holds.
# TYPE safelight_worker_held_bytes gauge
safelight_worker_held_bytes 1073741824
# HELP safelight_weights_bytes Bytes of weights held, by tier.
# TYPE safelight_weights_bytes gauge
safelight_weights_bytes{tier="device"} 5
# HELP safelight_cache_bytes Bytes of kept results, by tier.
# TYPE safelight_cache_bytes gauge
safelight_cache_bytes{tier="disk"} 7
# HELP safelight_resident_bytes Weights on the device.
# TYPE safelight_resident_bytes gauge
safelight_resident_bytes{model="sdxl.safetensors",part="unet"} 5.0e+09
# HELP safelight_moved_bytes Bytes moved, ever.
# TYPE safelight_moved_bytes counter
safelight_moved_bytes 99
`;

const HELD = { cache_bytes: 2 * GIB, cache_limit: 3 * GIB, disk_cache_bytes: GIB, disk_cache_limit: 8 * GIB, device_bytes: 5 * GIB, device_limit: 7 * GIB, ram_bytes: GIB, ram_limit: 0, staging_bytes: 0, models: [{ name: "sdxl.safetensors unet", device_bytes: 5 * GIB, ram_bytes: GIB }] };

test("the machine, its cards, and every gauge of bytes by what it counts and of what", () => {
  expect(gaugesIn(machine, HELD, METRICS)).toEqual([
    { name: "RAM of the machine", bytes: 12 * GIB, most: 16 * GIB },
    { name: "NVIDIA RTX 4060", bytes: 6 * GIB, most: 8 * GIB },
    { name: "Weights on the card", bytes: 5 * GIB, most: 7 * GIB },
    { name: "Weights in RAM", bytes: GIB },
    { name: "sdxl.safetensors unet", bytes: 6 * GIB, part: true },
    { name: "Results kept in RAM", bytes: 2 * GIB, most: 3 * GIB },
    { name: "Results kept on disk", bytes: GIB, most: 8 * GIB },
    { name: "Held by what computes", bytes: GIB },
    { name: "Weights on the device · sdxl.safetensors · unet", bytes: 5e9 },
  ]);
});
