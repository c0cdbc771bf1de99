/** Small helpers for JSON values whose shape is not known. */
import type { Json, JsonObject } from "./types";

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

export function listOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

/** An own member: keys such as "constructor" are names like any other here. */
export function member(value: unknown, key: string): Json | undefined {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

export function sameJson(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (Array.isArray(one) || Array.isArray(other)) {
    if (!Array.isArray(one) || !Array.isArray(other) || one.length !== other.length) return false;
    return one.every((item: Json, place: number) => sameJson(item, other[place] as Json));
  }
  const left = one as JsonObject;
  const right = other as JsonObject;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && sameJson(left[key], right[key]))
  );
}

/** An id as text (files hold numbers or strings), or nothing for anything else. */
export function idOf(value: unknown): string | undefined {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : undefined;
  return typeof value === "string" && value.length > 0 && value.length <= 200 ? value : undefined;
}

/** An id as ecosystem files spell it: a number where it is one. */
export function fileId(id: string): Json {
  return /^-?(0|[1-9]\d{0,14})$/.test(id) ? Number(id) : id;
}

/** An object without a prototype's surprises: "__proto__" is a key like any other. */
export function withEntry<T>(into: Record<string, T>, key: string, value: NoInfer<T>): void {
  if (key === "__proto__")
    Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true });
  else into[key] = value;
}
