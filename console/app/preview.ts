import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "./api.ts";

const PAUSE_MS = 300;

export interface Preview<T> {
  readonly data: T | undefined;
  readonly error: unknown;
  readonly isLoading: boolean;
}

/**
 * The server's answer about a form, requested when the typing pauses.
 * @param body null: no request. @param whenNull whether the last answer stays then
 */
export function usePreview<T>(path: string, body: object | null, whenNull: "clear" | "keep" = "clear"): Preview<T> {
  const [state, setState] = useState<Preview<T>>({ data: undefined, error: undefined, isLoading: body !== null });
  const key = JSON.stringify(body);
  const isFirst = useRef(true);
  useEffect(() => {
    // What the page opens with was not typed.
    const pauseMs = isFirst.current ? 0 : PAUSE_MS;
    isFirst.current = false;
    if (body === null) {
      if (whenNull === "clear") setState({ data: undefined, error: undefined, isLoading: false });
      return;
    }
    const stopper = new AbortController();
    setState((last) => ({ ...last, isLoading: true }));
    const timer = setTimeout(async () => {
      try {
        const data = await api.post<T>(path, body, {}, { signal: stopper.signal });
        if (!stopper.signal.aborted) setState({ data, error: undefined, isLoading: false });
      } catch (error) {
        if (!stopper.signal.aborted) setState({ data: undefined, error, isLoading: false });
      }
    }, pauseMs);
    return () => {
      clearTimeout(timer);
      stopper.abort();
    };
  }, [key]);
  return state;
}
