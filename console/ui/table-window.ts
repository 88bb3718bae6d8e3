import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLatest } from "./latest.ts";

const ALL_UP_TO = 150;
const CHUNK = 25;

/** Which rows are in the document, and the height of the ones that are not. */
export interface RowWindow {
  readonly from: number;
  readonly to: number;
  readonly beforePx: number;
  readonly afterPx: number;
}

interface Measures {
  readonly current: HTMLTableSectionElement | null;
}

function whole(count: number): RowWindow {
  return { from: 0, to: count, beforePx: 0, afterPx: 0 };
}

/** Rows around the visible part of the window, in chunks so that scrolling rarely renders. */
function around(count: number, top: number, rowPx: number): RowWindow {
  const firstVisible = Math.max(0, -top / rowPx);
  const visible = window.innerHeight / rowPx;
  const from = Math.max(0, Math.floor((firstVisible - CHUNK) / CHUNK) * CHUNK);
  const to = Math.min(count, Math.ceil((firstVisible + visible + CHUNK) / CHUNK) * CHUNK);
  return { from: Math.min(from, to), to, beforePx: from * rowPx, afterPx: (count - to) * rowPx };
}

/** Renders a long list only near the visible part of the page; up to 150 rows all of it. */
export function useRowWindow(count: number, body: Measures): RowWindow {
  const [shown, setShown] = useState<RowWindow>(() => around(count, 0, 44));
  const rowPx = useRef(44);
  const latest = useLatest(shown);
  const isLong = count > ALL_UP_TO;
  const update = () => {
    const { current } = body;
    if (current === null || current.offsetParent === null) return;
    if (current.rows.length > 0) rowPx.current = Math.max(20, current.offsetHeight / current.rows.length);
    const top = current.getBoundingClientRect().top - latest.current.beforePx;
    const next = around(count, top, rowPx.current);
    if (next.from !== latest.current.from || next.to !== latest.current.to) setShown(next);
  };
  useLayoutEffect(() => {
    if (isLong) update();
  }, [count, isLong]);
  useEffect(() => {
    if (!isLong) return;
    let frame = 0;
    const onScroll = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(update);
    };
    const options = { capture: true, passive: true };
    document.addEventListener("scroll", onScroll, options);
    window.addEventListener("resize", onScroll);
    return () => {
      cancelAnimationFrame(frame);
      document.removeEventListener("scroll", onScroll, options);
      window.removeEventListener("resize", onScroll);
    };
  }, [count, isLong]);
  return isLong ? { ...shown, to: Math.min(shown.to, count) } : whole(count);
}
