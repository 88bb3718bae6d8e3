import type { Trial } from "../trial/trial.ts";
import type { Definition } from "../types.ts";

export interface SectionProps {
  readonly draft: Definition;
  /** Increases when the draft is replaced as a whole. */
  readonly revision: number;
  readonly onChange: (changes: Partial<Definition>) => void;
  readonly trial: Trial;
  readonly readOnly: boolean;
}
