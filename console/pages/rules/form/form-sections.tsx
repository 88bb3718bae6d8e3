import { useCallback } from "preact/hooks";
import { useProjects } from "../../../app/projects.ts";
import { useGet } from "../../../app/query.ts";
import { can } from "../../../app/session.ts";
import {
  Badge,
  Card,
  Checkbox,
  Field,
  Input,
  Menu,
  MultiCombobox,
  Select,
  Textarea,
  UserText,
} from "../../../ui/index.ts";
import { type KnownPath, useKnownPaths } from "../data.ts";
import { findPeople, useNames } from "../people.ts";
import type { Trial } from "../trial/trial.ts";
import type { Definition } from "../types.ts";
import { CHANNELS, type ChannelWord } from "../words.ts";
import { ConditionField } from "./condition-field.tsx";

export interface SectionProps {
  readonly draft: Definition;
  /** Increases when the draft is replaced as a whole. */
  readonly revision: number;
  readonly onChange: (changes: Partial<Definition>) => void;
  readonly trial: Trial;
  readonly readOnly: boolean;
}

const EVERY = "*";

/** Which events: name, project and condition. */
export function WhenSection({ draft, revision, onChange, trial, readOnly }: SectionProps) {
  const projects = useProjects();
  const paths = useKnownPaths(draft.projectId);
  const seesAll = can("projects:all") || draft.projectId === null;
  const options = [
    ...(seesAll ? [{ value: EVERY, label: "Every project" }] : []),
    ...projects.map(({ id, name }) => ({ value: id, label: name })),
  ];
  return (
    <Card title="When" sub="The events that this rule is about.">
      <div class="form">
        <div class="grid2">
          <Field label="Name" required>
            <Input
              value={draft.name}
              onChange={(name) => onChange({ name })}
              maxLength={255}
              readOnly={readOnly}
              placeholder="Payment over 1000 failed"
            />
          </Field>
          <Field label="Events of">
            <Select
              value={draft.projectId ?? EVERY}
              onChange={(id) => onChange({ projectId: id === EVERY ? null : id })}
              options={options}
              disabled={readOnly}
            />
          </Field>
        </div>
        <ConditionField
          key={revision}
          value={draft.condition}
          onChange={(condition) => onChange({ condition })}
          paths={paths}
          problems={trial.problems}
          readOnly={readOnly}
        />
        <Field label="Description" optional>
          <Textarea
            rows={2}
            autoGrow
            value={draft.description}
            onChange={(description) => onChange({ description })}
            maxLength={4000}
            readOnly={readOnly}
            placeholder="What this means and what to do"
          />
        </Field>
      </div>
    </Card>
  );
}

interface Role {
  readonly id: string;
  readonly name: string;
  readonly description: string;
}

/** Who is notified, and by which channels. */
export function WhoSection({ draft, onChange, readOnly }: SectionProps) {
  const roles = useGet<{ readonly data: readonly Role[] }>(can("roles:read") ? "/roles" : null).data?.data ?? [];
  const names = useNames(draft.targetUsers);
  const { projectId } = draft;
  const load = useCallback((text: string) => findPeople(text, projectId), [projectId]);
  const known = draft.targetUsers.map((id) => ({ value: id, label: names.get(id) ?? id }));
  return (
    <Card
      title="Who"
      sub={
        projectId === null
          ? "Active holders of the roles, and the people, each once."
          : "Active holders of the roles, and the people, each once; members of the project only."
      }
    >
      <div class="form">
        <div class="grid2">
          {readOnly ? (
            <Chosen label="Roles" names={draft.targetRoles} />
          ) : (
            <Field label="Roles">
              <MultiCombobox
                values={draft.targetRoles}
                onChange={(targetRoles) => onChange({ targetRoles })}
                options={roles.map(({ name, description }) => ({ value: name, label: name, hint: description }))}
                placeholder="Add a role"
              />
            </Field>
          )}
          {readOnly ? (
            <Chosen label="People" names={known.map(({ label }) => label)} />
          ) : (
            <Field label="People">
              <MultiCombobox
                values={draft.targetUsers}
                onChange={(targetUsers) => onChange({ targetUsers })}
                options={known}
                load={load}
                placeholder="Add a person"
              />
            </Field>
          )}
        </div>
        <Channels draft={draft} onChange={onChange} readOnly={readOnly} />
      </div>
    </Card>
  );
}

function Chosen({ label, names }: { readonly label: string; readonly names: readonly string[] }) {
  return (
    <div class="field">
      <span class="small strong">{label}</span>
      <div class="inline">
        {names.map((name) => (
          <Badge key={name} tone="plain">
            {name}
          </Badge>
        ))}
        {names.length === 0 && <span class="faint">none</span>}
      </div>
    </div>
  );
}

function Channels({ draft, onChange, readOnly }: Omit<SectionProps, "trial" | "revision">) {
  const offered: readonly ChannelWord[] = CHANNELS;
  const toggle = (channel: Definition["channels"][number], isOn: boolean) => {
    const rest = draft.channels.filter((each) => each !== channel);
    onChange({ channels: isOn ? [...rest, channel] : rest });
  };
  return (
    <fieldset class="radios">
      <legend>Channels</legend>
      <div class="rule-channels">
        {offered.map(({ value, label, hint }) => (
          <Checkbox
            key={value}
            checked={draft.channels.includes(value)}
            onChange={(isOn) => toggle(value, isOn)}
            label={label}
            hint={hint}
            disabled={readOnly}
          />
        ))}
      </div>
      {draft.channels.length === 0 && <p class="field-error">Choose at least one channel.</p>}
    </fieldset>
  );
}

/** Texts for recipients, with the values of the chosen event. */
export function TextSection({ draft, onChange, trial, readOnly }: SectionProps) {
  const paths = useKnownPaths(draft.projectId);
  const { templateErrors, result } = trial;
  return (
    <Card
      title="What they read"
      sub="Leave both empty, or write templates: placeholders take their values from the event."
    >
      <div class="form">
        <Field
          label="Title"
          error={templateErrors.titleTemplate}
          action={
            !readOnly && (
              <InsertMenu
                paths={paths}
                text={draft.titleTemplate ?? ""}
                onInsert={(titleTemplate) => onChange({ titleTemplate })}
              />
            )
          }
          hint="Empty: what happened, as the event says it."
        >
          <Input
            mono
            value={draft.titleTemplate ?? ""}
            onChange={(text) => onChange({ titleTemplate: text || null })}
            maxLength={255}
            readOnly={readOnly}
            placeholder="Payment of {{ event.amount }} failed"
          />
        </Field>
        <Field
          label="Message"
          error={templateErrors.messageTemplate}
          action={
            !readOnly && (
              <InsertMenu
                paths={paths}
                text={draft.messageTemplate ?? ""}
                onInsert={(messageTemplate) => onChange({ messageTemplate })}
              />
            )
          }
          hint="Empty: how bad, where, and the event's own text. Its link and level come with it."
        >
          <Textarea
            mono
            rows={3}
            autoGrow
            value={draft.messageTemplate ?? ""}
            onChange={(text) => onChange({ messageTemplate: text || null })}
            maxLength={4000}
            readOnly={readOnly}
            placeholder="Order {{ event.orderId }}: {{ event.reason | default:'no reason given' }}"
          />
        </Field>
        {result !== undefined && (result.title !== undefined || result.message !== undefined) && (
          <section class="rule-preview" aria-label="Preview">
            <span class="faint tiny">Preview with the chosen event</span>
            <b>
              <UserText>{result.title || draft.name}</UserText>
            </b>
            {result.message !== undefined && (
              <p>
                <UserText>{result.message}</UserText>
              </p>
            )}
          </section>
        )}
      </div>
    </Card>
  );
}

const OFFERED_PATHS = 14;

interface InsertMenuProps {
  readonly paths: readonly KnownPath[];
  readonly text: string;
  readonly onInsert: (text: string) => void;
}

function InsertMenu({ paths, text, onInsert }: InsertMenuProps) {
  const offered = paths.filter(({ types }) => !types.includes("object")).slice(0, OFFERED_PATHS);
  if (offered.length === 0) return null;
  const items = offered.map(({ path, examples }) => ({
    label: path,
    ...(examples.length === 0 ? {} : { hint: String(examples[0]).slice(0, 40) }),
    onSelect: () => onInsert(`${text}${text === "" || text.endsWith(" ") ? "" : " "}{{ ${path} }}`),
  }));
  return (
    <Menu label="Insert a value of the event" text="Insert value" variant="quiet" small items={items} align="end" />
  );
}
