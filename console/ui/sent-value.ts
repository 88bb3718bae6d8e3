import { useLayoutEffect, useRef } from "preact/hooks";

/**
 * The last value that an input with a text of its own has sent. @param onOutside another value came from
 * outside, such as by the back button or a picker
 */
export function useSentValue(value: string, onOutside: (value: string) => void) {
  const sent = useRef(value);
  useLayoutEffect(() => {
    if (value === sent.current) return;
    sent.current = value;
    onOutside(value);
  }, [value]);
  return sent;
}
