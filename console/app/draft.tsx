import type { ComponentChildren } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";
import { Banner, Button, confirm, useLatest } from "../ui/index.ts";
import { ifMatch, PrismError } from "./api.ts";
import { useLeaveGuard } from "./navigate.ts";

interface Versioned {
  readonly version: number;
}

interface Options<S extends Versioned, D> {
  /** The stored value, as far as the page knows. */
  readonly stored: S;
  readonly draftOf: (stored: S) => D;
  readonly isChanged: (base: D, draft: D) => boolean;
  /** Loads `stored` again. */
  readonly reload: () => void;
}

export interface Draft<S extends Versioned, D> {
  /** The value from which the edits started. */
  readonly base: S;
  readonly stored: S;
  readonly draft: D;
  readonly isDirty: boolean;
  /** The edits were refused, because `stored` was saved meanwhile. */
  readonly hasConflict: boolean;
  setDraft(draft: D): void;
  /** Continues from a stored version, with its content or with edits of it. */
  start(from: S, draft?: D): void;
  /** @param send gets the version to replace @returns false for a conflict */
  save(send: (extra: ReturnType<typeof ifMatch>) => Promise<S>, replaced?: S): Promise<boolean>;
}

/**
 * Edits of what has versions. A version that another person saves replaces a form without edits;
 * with edits it is a conflict when they are saved. Leaving the page asks first.
 */
export function useDraft<S extends Versioned, D>({ stored, draftOf, isChanged, reload }: Options<S, D>): Draft<S, D> {
  const [base, setBase] = useState(stored);
  const [draft, setDraft] = useState(() => draftOf(stored));
  const latest = useLatest(draft);
  const [isRefused, setRefused] = useState(false);
  const isDirty = isChanged(draftOf(base), draft);
  const start = (from: S, next = draftOf(from)) => {
    setBase(from);
    setDraft(() => next);
    setRefused(false);
  };
  // Before the next key: later, it would replace what is typed meanwhile.
  useLayoutEffect(() => {
    if (stored.version > base.version && !isDirty) start(stored);
  }, [stored]);
  useLeaveGuard(isDirty ? () => confirm({ title: "Leave without saving?", action: "Leave" }) : null);
  return {
    base,
    stored,
    draft,
    isDirty,
    hasConflict: isRefused && stored.version !== base.version,
    setDraft: (next) => setDraft(() => next),
    start,
    async save(send, replaced = base) {
      const sent = latest.current;
      try {
        const saved = await send(ifMatch(replaced));
        // What was typed meanwhile stays, as edits of the saved version.
        start(saved, latest.current === sent ? undefined : latest.current);
        return true;
      } catch (error) {
        if (!(error instanceof PrismError) || error.code !== "VERSION_CONFLICT") throw error;
        setRefused(true);
        reload();
        return false;
      }
    },
  };
}

interface ConflictProps<S extends Versioned, D> {
  readonly edit: Draft<S, D>;
  /** Choices of the user for the own edits. */
  readonly mine: { readonly label: string; readonly onClick: () => unknown };
  readonly children?: ComponentChildren;
}

/** Offers the stored version, or the own edits, after a conflict. */
export function ConflictBanner<S extends Versioned, D>({ edit, mine, children }: ConflictProps<S, D>) {
  const { base, stored, hasConflict, start } = edit;
  if (!hasConflict) return null;
  const actions = (
    <>
      <Button small onClick={() => start(stored)}>
        Show theirs
      </Button>
      <Button small onClick={mine.onClick}>
        {mine.label}
      </Button>
    </>
  );
  return (
    <Banner tone="warn" title={`Version ${stored.version} was saved meanwhile`} action={actions}>
      You started from version {base.version}.{children}
    </Banner>
  );
}
