import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import type { Event } from "../../../src/client/api-types.gen.ts";
import { PrismError } from "../../app/api.ts";
import { canInProject } from "../../app/memberships.ts";
import { navigate, useLeaveGuard } from "../../app/navigate.ts";
import { useGet } from "../../app/query.ts";
import { Banner, Button, confirm, openDialog, toast } from "../../ui/index.ts";
import { useRecentEvents } from "./data.ts";
import { changedMembers, definitionOf, keepDraft, keptDraft } from "./draft.ts";
import { LimitsSection } from "./form/limits-section.tsx";
import type { SectionProps } from "./form/section-props.ts";
import { TextSection } from "./form/text-section.tsx";
import { UrgencySection } from "./form/urgency-section.tsx";
import { WhenSection } from "./form/when-section.tsx";
import { WhoSection } from "./form/who-section.tsx";
import { createRule, saveRule } from "./rule-actions.ts";
import { BacktestCard } from "./saving/backtest-card.tsx";
import { ConflictDialog } from "./saving/conflict-dialog.tsx";
import { SaveDialog } from "./saving/save-dialog.tsx";
import { likelyEvent, subjectOf, TestCard, useTestEvent } from "./trial/test-card.tsx";
import { useTrial } from "./trial/trial.ts";
import type { Definition, Rule } from "./types.ts";
import { MEMBER_LABELS } from "./words.ts";

export interface RuleEditorProps {
  /** The stored rule; null for a new one. */
  readonly rule: Rule | null;
  /** The content of a new rule before any edit. */
  readonly initial: Definition;
  /** Under which this tab keeps the edits. */
  readonly draftKey: string;
  /** The event that a new rule starts from. */
  readonly eventId?: string;
  readonly readOnly: boolean;
}

/** The form of a rule, its test and its backtest. Edits survive a reload of the tab. */
export function RuleEditor({ rule, initial, draftKey: key, eventId = "", readOnly }: RuleEditorProps) {
  const [kept] = useState(() => (readOnly ? null : keptDraft(key)));
  const [draft, setDraft] = useState<Definition>(kept?.definition ?? initial);
  const [base, setBase] = useState<Rule | null>(kept?.base ?? rule);
  const [isRestored, setRestored] = useState(kept !== null);
  const [revision, setRevision] = useState(0);
  const replace = (next: Rule | null, definition: Definition) => {
    setBase(next);
    setDraft(definition);
    setRevision((count) => count + 1);
  };
  const origin = base === null ? initial : definitionOf(base);
  const changed = changedMembers(origin, draft);
  const isDirty = changed.length > 0 && !readOnly;

  useEffect(() => {
    if (!readOnly) keepDraft(key, isDirty ? { definition: draft, base } : null);
  }, [draft, base, isDirty]);
  useLayoutEffect(() => {
    // A version that another person saved replaces a form without edits, before the next key.
    if (rule === null || rule.version === base?.version || isDirty) return;
    replace(rule, definitionOf(rule));
  }, [rule]);
  useLeaveGuard(isDirty ? askToLeave : null);

  const discard = () => {
    replace(rule, rule === null ? initial : definitionOf(rule));
    setRestored(false);
  };
  const save = async (from: Rule | null, edited: Definition) => {
    try {
      const saved = from === null ? await createRule(edited) : await saveRule(from, edited);
      keepDraft(key, null);
      replace(saved, definitionOf(saved));
      setRestored(false);
      toast.ok(from === null ? `“${saved.name}” is active` : "Saved");
      if (from === null) setTimeout(() => navigate(`/rules/${saved.id}`, { replace: true }));
      return undefined;
    } catch (error) {
      if (from === null || !(error instanceof PrismError) || error.code !== "VERSION_CONFLICT") throw error;
      return conflict(from, edited);
    }
  };
  const review = (from: Rule | null, edited: Definition) =>
    openDialog(<SaveDialog draft={edited} rule={from} onSave={() => save(from, edited)} />);
  const conflict = (from: Rule, edited: Definition) => (
    <ConflictDialog
      base={from}
      draft={edited}
      onTheirs={(stored) => replace(stored, definitionOf(stored))}
      onMine={(stored, merged) => {
        replace(stored, merged);
        review(stored, merged);
      }}
    />
  );
  const isOutdated = rule !== null && base !== null && rule.version > base.version && isDirty;
  const onChange = (changes: Partial<Definition>) => setDraft((last) => ({ ...last, ...changes }));
  return (
    <>
      {isRestored && isDirty && (
        <Banner
          tone="info"
          title="Unsaved changes of this tab were restored"
          action={
            <Button small onClick={discard}>
              Discard
            </Button>
          }
        >
          Save them, or go back to the stored rule.
        </Banner>
      )}
      {isOutdated && (
        <Banner
          tone="warn"
          title="Another person saved this rule"
          action={
            <Button small onClick={() => openDialog(conflict(base, draft))}>
              Compare
            </Button>
          }
        >
          You edit version {base.version}; version {rule.version} is stored.
        </Banner>
      )}
      <Body draft={draft} revision={revision} onChange={onChange} rule={base} eventId={eventId} readOnly={readOnly}>
        {(problem) =>
          (isDirty || base === null) && !readOnly ? (
            <SaveBar
              isNew={base === null}
              changes={changed.map((member) => MEMBER_LABELS[member])}
              problem={problem}
              onDiscard={base === null && !isDirty ? undefined : discard}
              onSave={() => review(base, draft)}
            />
          ) : null
        }
      </Body>
    </>
  );
}

function askToLeave(): Promise<boolean> {
  return confirm({
    title: "Leave without saving?",
    text: "This tab keeps the changes: they are here again when you come back.",
    action: "Leave",
  });
}

interface BodyProps {
  readonly draft: Definition;
  readonly revision: number;
  readonly onChange: (changes: Partial<Definition>) => void;
  readonly rule: Rule | null;
  readonly eventId: string;
  readonly readOnly: boolean;
  /** Content below the form. @param problem why it cannot be saved */
  readonly children: (problem: string | undefined) => preact.ComponentChildren;
}

function Body({ draft, revision, onChange, rule, eventId, readOnly, children }: BodyProps) {
  const [wanted, setTest] = useTestEvent(eventId);
  const recent = useRecentEvents(draft.projectId);
  const test = { ...wanted, eventId: wanted.eventId || likelyEvent(draft.condition, recent.events) };
  const isKnown = recent.events === undefined || recent.events.some(({ id }) => id === test.eventId);
  const chosen = useGet<Event>(test.eventId === "" || isKnown ? null : `/events/${test.eventId}`).data;
  const trial = useTrial(draft, subjectOf(test));
  const section: SectionProps = { draft, revision, onChange, trial, readOnly };
  const refusal = trial.problems.find(({ severity }) => severity === "error");
  const problem = saveProblem(draft) ?? (refusal ? "The condition has an error" : undefined);
  return (
    <>
      <div class="rule-form">
        <div class="stack">
          <WhenSection {...section} />
          <WhoSection {...section} />
          <TextSection {...section} />
          <UrgencySection {...section} />
          <LimitsSection {...section} />
        </div>
        <div class="rule-side">
          {canInProject("events:read") && (
            <TestCard
              draft={draft}
              test={test}
              onTest={setTest}
              recent={recent.events}
              isLoading={recent.loading}
              chosen={chosen}
              trial={trial}
            />
          )}
          <BacktestCard draft={draft} rule={rule} isValid={draft.condition.trim() !== "" && refusal === undefined} />
        </div>
      </div>
      {children(problem ?? Object.values(trial.templateErrors)[0])}
    </>
  );
}

function saveProblem({ name, condition, channels, targetRoles, targetUsers }: Definition): string | undefined {
  if (name.trim() === "") return "The rule needs a name";
  if (condition.trim() === "") return "The rule needs a condition";
  if (targetRoles.length + targetUsers.length === 0) return "The rule needs a role or a person";
  return channels.length === 0 ? "The rule needs a channel" : undefined;
}

interface SaveBarProps {
  readonly isNew: boolean;
  readonly changes: readonly string[];
  readonly problem: string | undefined;
  readonly onDiscard: (() => void) | undefined;
  readonly onSave: () => void;
}

function SaveBar({ isNew, changes, problem, onDiscard, onSave }: SaveBarProps) {
  const what = isNew ? "Not saved yet" : `Changed: ${changes.join(", ")}`;
  return (
    <section class="rule-bar" aria-label="Unsaved changes">
      <span class={`grow ${problem === undefined ? "muted" : "text-warn"}`} role="status">
        {problem ?? what}
      </span>
      {onDiscard && <Button onClick={onDiscard}>Discard</Button>}
      <Button variant="primary" onClick={onSave} disabled={problem !== undefined}>
        {isNew ? "Review and create" : "Review and save"}
      </Button>
    </section>
  );
}
