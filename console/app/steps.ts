import { useQueryState } from "./navigate.ts";

interface Steps<N extends string> {
  /** Undefined while neither the address nor the page knows it. */
  readonly step: N | undefined;
  readonly index: number;
  next(): void;
  /** For Stepper. */
  go(index: number): void;
}

/** The current step of a set-up, kept in the address. @param first where it starts */
export function useSteps<N extends string>(steps: readonly { readonly name: N }[], first: N | undefined): Steps<N> {
  const [wanted, setWanted] = useQueryState("step");
  const step = steps.find(({ name }) => name === wanted)?.name ?? first;
  const index = steps.findIndex(({ name }) => name === step);
  const go = (at: number) => setWanted(steps[Math.min(at, steps.length - 1)]?.name ?? "");
  return { step, index, next: () => go(index + 1), go };
}
