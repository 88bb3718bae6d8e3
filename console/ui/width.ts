import { useLayoutEffect, useState } from "preact/hooks";

/** The width of an element in px, kept as it changes. @param first until it is known, and while the element is hidden */
export function useWidth(of: { readonly current: HTMLElement | null }, first: number): number {
  const [width, setWidth] = useState(first);
  useLayoutEffect(() => {
    const element = of.current;
    if (element === null) return;
    const measure = () => element.clientWidth > 0 && setWidth(element.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return width;
}

const KNOWN = 2000;
const widths = new Map<string, number>();
let canvas: CanvasRenderingContext2D | null | undefined;

/** The width of a text of small size in px. */
export function textWidth(text: string): number {
  let width = widths.get(text);
  if (width === undefined) {
    canvas ??= document.createElement("canvas").getContext("2d");
    if (canvas) canvas.font = `13px ${getComputedStyle(document.body).fontFamily}`;
    width = canvas?.measureText(text).width ?? text.length * 8;
    if (widths.size >= KNOWN) widths.clear();
    widths.set(text, width);
  }
  return width;
}
