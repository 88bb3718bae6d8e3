import type { ComponentChildren } from "preact";
import type { Project } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import {
  Checkbox,
  Combobox,
  DateTimeInput,
  Field,
  MultiCombobox,
  type Option,
  SearchInput,
  Select,
  Toolbar,
} from "../../ui/index.ts";
import { LEVELS, RESULTS } from "./event-types.ts";
import type { FilterValues, SetFilter } from "./filters.ts";
import { outcomeText } from "./outcome-badge.tsx";

interface Props {
  readonly filters: FilterValues;
  readonly setFilter: SetFilter;
  readonly projects: readonly Project[];
  /** The filters that are used less often are shown too. */
  readonly isWide: boolean;
  readonly end: ComponentChildren;
}

interface Seen {
  readonly types: readonly string[];
  readonly sources: readonly string[];
}

const ANY: Option = { value: "", label: "Any" };

export function EventFilters({ filters, setFilter, projects, isWide, end }: Props) {
  const { project, type, level, source, q, outcome, from, to, own } = filters;
  const seen = useGet<Seen>("/events/paths", { projectId: project === "" ? "*" : project });
  const types = (seen.data?.types ?? []).map((value) => ({ value, label: value }));
  const sources = (seen.data?.sources ?? []).map((value) => ({ value, label: value }));
  return (
    <>
      <Toolbar
        search={<SearchInput value={q} onChange={(value) => setFilter("q", value)} placeholder="Text in the event" />}
        active={[type, outcome, own].filter((value) => value !== "").length}
        end={end}
      >
        <Combobox
          label="Type"
          value={type}
          onChange={(value) => setFilter("type", value)}
          options={types}
          placeholder="Any type, or order.*"
          custom
          mono
          clearable
        />
        <Select
          label="Result"
          value={outcome}
          onChange={(value) => setFilter("outcome", value)}
          options={[
            { value: "", label: "Any result" },
            ...RESULTS.map((value) => ({ value, label: outcomeText(value) })),
          ]}
        />
        <Checkbox
          label="Prism's own events"
          checked={own === "true"}
          onChange={(isOn) => setFilter("own", isOn ? "true" : "")}
        />
      </Toolbar>
      {isWide && (
        <div class="event-filters">
          {projects.length > 1 && (
            <Field label="Project">
              <Select
                value={project}
                onChange={(value) => setFilter("project", value)}
                options={[ANY, ...projects.map(({ id, name }) => ({ value: id, label: name }))]}
              />
            </Field>
          )}
          <Field label="Level">
            <MultiCombobox
              values={level === "" ? [] : level.split(",")}
              onChange={(values) => setFilter("level", values.join(","))}
              options={LEVELS.map((value) => ({ value, label: value }))}
              placeholder="Any"
            />
          </Field>
          <Field label="Source">
            <Combobox
              value={source}
              onChange={(value) => setFilter("source", value)}
              options={sources}
              placeholder="Any"
              custom
              clearable
            />
          </Field>
          <Field label="Received after">
            <DateTimeInput value={from} onChange={(value) => setFilter("from", value)} />
          </Field>
          <Field label="Received before">
            <DateTimeInput value={to} onChange={(value) => setFilter("to", value)} />
          </Field>
        </div>
      )}
    </>
  );
}
