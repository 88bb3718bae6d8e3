import { useRef } from "preact/hooks";

/** The value of the latest render, for effects and timers that began before it. */
export function useLatest<T>(value: T): { current: T } {
  const latest = useRef(value);
  latest.current = value;
  return latest;
}
