import { useLayoutEffect } from "preact/hooks";
import { isTyping, runAction, useLatest } from "../ui/index.ts";

/** Work by key: a character such as `a`, or `Escape`. */
export type Hotkeys = Readonly<Record<string, () => unknown>>;

/** The latest mounted component comes first. */
const layers: { current: Hotkeys }[] = [];
const SEQUENCE_MS = 1500;
let sequenceUntil = 0;

/** Work after `g`, by its second key; the shell sets it. */
export const goTo = new Map<string, () => void>();

/** Adds keys while the component is shown. Keys typed into fields and dialogs are not taken. */
export function useHotkeys(keys: Hotkeys): void {
  const layer = useLatest(keys);
  useLayoutEffect(() => {
    layers.unshift(layer);
    return () => {
      layers.splice(layers.indexOf(layer), 1);
    };
  }, []);
}

function isTaken({ defaultPrevented, ctrlKey, metaKey, altKey, target }: KeyboardEvent): boolean {
  const isInDialog = target instanceof Element && target.closest("dialog") !== null;
  return defaultPrevented || ctrlKey || metaKey || altKey || isInDialog || isTyping(target);
}

addEventListener("keydown", (event) => {
  if (isTaken(event)) return;
  const isSecond = event.timeStamp < sequenceUntil;
  sequenceUntil = 0;
  const work = isSecond
    ? goTo.get(event.key)
    : layers.find((layer) => layer.current[event.key] !== undefined)?.current[event.key];
  if (work) {
    event.preventDefault();
    void runAction(work);
  } else if (event.key === "g" && !isSecond) sequenceUntil = event.timeStamp + SEQUENCE_MS;
});
