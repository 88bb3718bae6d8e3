import "./matchers.css";
import { Plus, X } from "lucide";
import { useState } from "preact/hooks";
import { Button, Combobox, Icon, type Option, Select } from "../ui/index.ts";
import type { Page } from "./api.ts";
import {
  isSameMatcher,
  type Labels,
  type Matcher,
  matcherText,
  OPERATORS,
  type Operator,
  readMatchers,
} from "./matchers.ts";
import { useGet } from "./query.ts";

const OPERATOR_WORDS: Readonly<Record<Operator, string>> = {
  "=": "is",
  "!=": "is not",
  "=~": "matches",
  "!~": "does not match",
};

/** Matchers as chips without actions. */
export function MatcherChips({ matchers }: { readonly matchers: readonly Matcher[] }) {
  return (
    <span class="matchers">
      {matchers.map((matcher) => (
        <span class="chip mono" key={matcherText(matcher)} title={matcherText(matcher)}>
          <MatcherWords matcher={matcher} />
        </span>
      ))}
    </span>
  );
}

function MatcherWords({ matcher: { name, operator, value } }: { readonly matcher: Matcher }) {
  return (
    <span class="user-text">
      <bdi>{name}</bdi>
      <span class="matcher-op">{operator}</span>
      <bdi>{value === "" ? '""' : value}</bdi>
    </span>
  );
}

/** Labels as chips. */
export function LabelChips({ labels }: { readonly labels: Labels }) {
  return <MatcherChips matchers={Object.entries(labels).map(([name, value]) => ({ name, operator: "=", value }))} />;
}

interface FieldProps {
  readonly matchers: readonly Matcher[];
  readonly onChange: (matchers: readonly Matcher[]) => void;
  /** Labels of firing alerts of this project are offered. */
  readonly projectId: string;
  readonly label?: string;
}

/** The matchers as chips, and a row for one more. A chip is edited by a click on it. */
export function MatcherField({ matchers, onChange, projectId, label = "Matchers" }: FieldProps) {
  const [name, setName] = useState("");
  const [operator, setOperator] = useState<Operator>("=");
  const [value, setValue] = useState("");
  const alerts = useLabels(projectId);
  const names = [...new Set(alerts.flatMap((labels) => Object.keys(labels)))].sort();
  const values = [...new Set(alerts.flatMap((labels) => labels[name] ?? []))].sort();
  const add = (more: readonly Matcher[]) => {
    onChange([...matchers, ...more.filter((each) => !matchers.some((known) => isSameMatcher(known, each)))]);
    setName("");
    setOperator("=");
    setValue("");
  };
  const typeName = (text: string) => {
    const read = readMatchers(text);
    if (read) add(read);
    else setName(text);
  };
  const typeValue = (text: string) => {
    if (name === "") setValue(text);
    else add([{ name, operator, value: text }]);
  };
  const edit = (matcher: Matcher) => {
    onChange(matchers.filter((each) => each !== matcher));
    setName(matcher.name);
    setOperator(matcher.operator);
    setValue(matcher.value);
  };
  return (
    <fieldset class="matcher-field">
      <legend class="sr-only">{label}</legend>
      {matchers.length > 0 && (
        <span class="matchers">
          {matchers.map((matcher) => (
            <span class="chip mono" key={matcherText(matcher)} title={matcherText(matcher)}>
              <button type="button" class="matcher-edit" onClick={() => edit(matcher)}>
                <span class="sr-only">Change </span>
                <MatcherWords matcher={matcher} />
              </button>
              <button
                type="button"
                aria-label={`Remove ${matcherText(matcher)}`}
                onClick={() => onChange(matchers.filter((each) => each !== matcher))}
              >
                <Icon node={X} size={12} />
              </button>
            </span>
          ))}
        </span>
      )}
      <div class="matcher-row">
        <Combobox
          label="Label"
          placeholder="label, or team=&quot;db&quot;"
          value={name}
          onChange={typeName}
          options={names.map(optionOf)}
          custom
          mono
        />
        <Select
          label="Operator"
          value={operator}
          onChange={(next) => setOperator(next as Operator)}
          options={OPERATORS.map((each) => ({ value: each, label: `${each}  ${OPERATOR_WORDS[each]}` }))}
        />
        <Combobox
          label="Value"
          placeholder={operator.endsWith("~") ? "regular expression" : "value"}
          value={value}
          onChange={typeValue}
          options={values.map(optionOf)}
          custom
          mono
        />
        <Button icon={Plus} disabled={name === ""} onClick={() => add([{ name, operator, value }])}>
          Add
        </Button>
      </div>
    </fieldset>
  );
}

function optionOf(value: string): Option {
  return { value, label: value };
}

/** Labels of alerts that fire now. */
function useLabels(projectId: string): readonly Labels[] {
  const query = useGet<Page<{ readonly labels: Labels }>>("/alerts", { projectId, limit: 100 });
  return (query.data?.data ?? []).map(({ labels }) => labels);
}
