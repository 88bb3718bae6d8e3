import { ArrowDown, ArrowUp, X } from "lucide";
import { useLayoutEffect, useRef } from "preact/hooks";
import { useGet } from "../../app/query.ts";
import { IconButton, isTyping, Menu } from "../../ui/index.ts";
import { useTargetNames } from "./names.ts";
import { type DraftStep, moved, NEW_STEPS, STEP_WORDS, type StepType } from "./policy-types.ts";
import type { Routing } from "./routing-types.ts";
import { StepFields } from "./step-fields.tsx";

interface Props {
  readonly steps: readonly DraftStep[];
  readonly onChange: (steps: readonly DraftStep[]) => void;
  readonly projectId: string;
  readonly readOnly: boolean;
}

/** Steps in order. Alt and an arrow key move the step that has the focus. */
export function StepsEditor({ steps, onChange, projectId, readOnly }: Props) {
  const names = useTargetNames(projectId, steps);
  const routing = useGet<Routing>("/routes", { projectId });
  const intervals = (routing.data?.timeIntervals ?? []).map(({ name }) => name);
  const list = useRef<HTMLOListElement>(null);
  const focusAt = useRef<number | undefined>(undefined);
  useLayoutEffect(() => {
    if (focusAt.current !== undefined) (list.current?.children[focusAt.current] as HTMLElement | undefined)?.focus();
    focusAt.current = undefined;
  });
  const move = (from: number, to: number) => {
    if (to < 0 || to >= steps.length) return;
    focusAt.current = to;
    onChange(moved(steps, from, to));
  };
  const replace = (at: number, step: DraftStep) => onChange(steps.map((each, index) => (index === at ? step : each)));
  const onKey = (event: KeyboardEvent, at: number) => {
    const by = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : 0;
    if (by === 0 || !event.altKey || readOnly || isTyping(event.target)) return;
    event.preventDefault();
    move(at, at + by);
  };
  return (
    <div class="stack">
      <ol class="steps" ref={list} aria-label="Steps">
        {steps.map((step, at) => (
          // A step has no identity but its position.
          <li
            key={`${at} ${step.type}`}
            class="step"
            tabIndex={-1}
            aria-label={`Step ${at + 1}: ${STEP_WORDS[step.type].label}`}
            onKeyDown={(event) => onKey(event, at)}
          >
            <div class="spread">
              <strong>
                {at + 1}. {STEP_WORDS[step.type].label}
              </strong>
              {!readOnly && (
                <span class="inline">
                  <IconButton
                    small
                    icon={ArrowUp}
                    label={`Move step ${at + 1} up`}
                    disabled={at === 0}
                    onClick={() => move(at, at - 1)}
                  />
                  <IconButton
                    small
                    icon={ArrowDown}
                    label={`Move step ${at + 1} down`}
                    disabled={at === steps.length - 1}
                    onClick={() => move(at, at + 1)}
                  />
                  <IconButton
                    small
                    icon={X}
                    label={`Remove step ${at + 1}`}
                    onClick={() => onChange(steps.filter((_, index) => index !== at))}
                  />
                </span>
              )}
            </div>
            <StepFields
              step={step}
              onChange={(next) => replace(at, next)}
              {...{ names, intervals, projectId, readOnly }}
            />
          </li>
        ))}
      </ol>
      {!readOnly && (
        <div>
          <Menu
            label="Add a step"
            text="Add a step"
            variant="default"
            align="start"
            items={(Object.keys(STEP_WORDS) as StepType[]).map((type) => ({
              ...STEP_WORDS[type],
              onSelect: () => onChange([...steps, NEW_STEPS[type]]),
            }))}
          />
        </div>
      )}
    </div>
  );
}
