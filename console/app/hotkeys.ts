import { useEffect, useRef } from "preact/hooks";

/** Work by key: a character such as `a`, or `Escape`. */
export type Hotkeys = Readonly<Record<string, () => void>>;

/** The latest mounted component comes first. */
const layers: { current: Hotkeys }[] = [];
const SEQUENCE_MS = 1500;
let sequenceUntil = 0;

/** Work after `g`, by its second key; the shell sets it. */
export const goTo = new Map<string, () => void>();

/** Adds keys while the component is shown. Keys typed into fields and dialogs are not taken. */
export function useHotkeys(keys: Hotkeys): void {
  const layer = useRef(keys);
  layer.current = keys;
  useEffect(() => {
    layers.unshift(layer);
    return () => {
      layers.splice(layers.indexOf(layer), 1);
    };
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable], dialog") !== null;
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const isSecond = event.timeStamp < sequenceUntil;
  sequenceUntil = 0;
  const work = isSecond
    ? goTo.get(event.key)
    : layers.find((layer) => layer.current[event.key] !== undefined)?.current[event.key];
  if (work) {
    event.preventDefault();
    work();
  } else if (event.key === "g" && !isSecond) sequenceUntil = event.timeStamp + SEQUENCE_MS;
});
