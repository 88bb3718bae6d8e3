import { useEffect } from "preact/hooks";
import { canInProject } from "../../../app/memberships.ts";
import { useProjects } from "../../../app/projects.ts";
import { Button, Dialog, ErrorState, Progress, useClose } from "../../../ui/index.ts";
import { projectName } from "../data.ts";
import { DefinitionDiff } from "../diff.tsx";
import { changedMembers, type Member } from "../draft.ts";
import { useNames } from "../people.ts";
import type { Definition, Rule } from "../types.ts";
import { targetsText } from "../words.ts";
import { BacktestResult, useBacktest } from "./backtest-card.tsx";

/** The members that decide how often a rule notifies. */
const DECIDING = new Set<Member>(["condition", "suppression", "dedupe", "cooldownMs", "projectId"]);
const HOURS = 168;

export interface SaveDialogProps {
  readonly draft: Definition;
  /** The stored rule; null for a new one. */
  readonly rule: Rule | null;
  readonly onSave: () => Promise<unknown>;
}

/** The changes of a save, and their effect on the events of the last week, before they are stored. */
export function SaveDialog({ draft, rule, onSave }: SaveDialogProps) {
  const projects = useProjects();
  const names = useNames([...draft.targetUsers, ...(rule?.targetUsers ?? [])]);
  const backtest = useBacktest(draft, rule, HOURS);
  const isDeciding = rule === null || changedMembers(rule, draft).some((member) => DECIDING.has(member));
  const isTested = isDeciding && canInProject("events:read");
  useEffect(() => {
    if (isTested) backtest.run();
  }, []);
  const { result, error, isRunning } = backtest;
  return (
    <Dialog
      title={rule ? "Save changes?" : `Create “${draft.name}”?`}
      subtitle={`${rule ? "They apply" : "It applies"} to every event of ${projectName(projects, draft.projectId)} from now on.`}
      onSubmit={onSave}
      footer={
        <>
          <Button onClick={useClose()}>Back</Button>
          <Button variant="primary" type="submit">
            {rule ? "Save" : "Create rule"}
          </Button>
        </>
      }
    >
      <div class="stack">
        {rule ? (
          <DefinitionDiff before={rule} after={draft} names={names} projects={projects} />
        ) : (
          <p>Notifies {targetsText(draft, names)}.</p>
        )}
        {isTested && isRunning && <Progress label="Evaluating the events of the last 7 days" />}
        {isTested && error !== undefined && (
          <ErrorState small error={error} title="The backtest failed" retry={backtest.run} />
        )}
        {isTested && result && !isRunning && <BacktestResult result={result} rule={rule} hours={HOURS} />}
      </div>
    </Dialog>
  );
}
