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
# HELP safelight_resident_bytes Weights on the device.
# TYPE safelight_resident_bytes gauge
safelight_resident_bytes{model="sdxl.safetensors",part="unet"} 5.0e+09
# HELP safelight_moved_bytes Bytes moved, ever.
# TYPE safelight_moved_bytes counter
safelight_moved_bytes 99
`;

test("the machine, its cards, and every gauge of bytes by what it counts and of what", () => {
  expect(gaugesIn(machine, METRICS)).toEqual([
    { name: "RAM of the machine", bytes: 12 * GIB, most: 16 * GIB },
    { name: "NVIDIA RTX 4060", bytes: 6 * GIB, most: 8 * GIB },
    { name: "Held by what computes", bytes: GIB },
    { name: "Weights on the device · sdxl.safetensors · unet", bytes: 5e9 },
  ]);
});
