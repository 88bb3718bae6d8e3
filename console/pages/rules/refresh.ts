import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { connection } from "../../app/live.ts";

const PAUSE_MS = 3000;

/**
 * Reloads what no live stream reports: when the window gets the focus or the connection is back.
 * @returns a function for live entries; it reloads at most every 3 seconds
 */
export function useRefresh(reload: () => void): () => void {
  const latest = useRef(reload);
  latest.current = reload;
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  useEffect(() => {
    const now = () => document.visibilityState === "visible" && latest.current();
    addEventListener("focus", now);
    let wasLost = false;
    const stop = effect(() => {
      const isLive = connection.value === "live";
      if (isLive && wasLost) latest.current();
      wasLost = !isLive;
    });
    return () => {
      removeEventListener("focus", now);
      stop();
      if (timer.current !== null) clearTimeout(timer.current);
    };
  }, []);
  return () => {
    timer.current ??= setTimeout(() => {
      timer.current = null;
      latest.current();
    }, PAUSE_MS);
  };
}
