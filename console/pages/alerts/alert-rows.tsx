import type { Alert } from "../../../src/client/api-types.gen.ts";
import { Badge, type Column, Time, UserText } from "../../ui/index.ts";
import { Age, SeverityBadge } from "../incidents/severity.tsx";
import { differingLabels, labelText, nameOf, stateOf } from "./alert-types.ts";

/** As many as fit into the line; the detail has all of them. */
const SHOWN_LABELS = 6;
const IN_OTHER_COLUMNS: ReadonlySet<string> = new Set(["severity"]);

/**
 * The labels of an alert in a list, as text: those by which the rows differ, then those that all have.
 * @param differing names, the most telling first @param isPart the group says what all have
 */
function labelTexts(alert: Alert, differing: readonly string[], isPart: boolean): readonly string[] {
  const name = nameOf(alert);
  const isShown = (label: string) =>
    alert.labels[label] !== undefined && alert.labels[label] !== name && !IN_OTHER_COLUMNS.has(label);
  const own = differing.filter(isShown).slice(0, SHOWN_LABELS);
  const common = isPart
    ? []
    : Object.keys(alert.labels).filter((label) => isShown(label) && !differing.includes(label));
  return [own, common.slice(0, SHOWN_LABELS - own.length)]
    .filter((labels) => labels.length > 0)
    .map((labels) => labels.map((label) => labelText(alert, label)).join("  "));
}

/** @param isPart they are a group: only what tells them apart is shown */
export function columnsOf(alerts: readonly Alert[], isPart = false): readonly Column<Alert>[] {
  const differing = differingLabels(alerts);
  const hasName = !isPart || alerts.length < 2 || new Set(alerts.map(nameOf)).size > 1;
  return [
    { label: "Severity", card: "aside", width: "min", cell: ({ severity }) => <SeverityBadge word={severity} /> },
    {
      label: "Alert",
      card: "title",
      width: "wide",
      cell: (alert) => {
        const texts = labelTexts(alert, differing, isPart);
        return (
          <span class="one-line">
            {(hasName || texts.length === 0) && <UserText lines={1}>{nameOf(alert)}</UserText>}
            {texts.map((text) => (
              <UserText key={text} lines={1} mono>
                {text}
              </UserText>
            ))}
          </span>
        );
      },
    },
    { label: "State", card: "meta", width: "min", cell: (alert) => <State alert={alert} /> },
    {
      label: "Duration",
      card: "meta",
      width: "min",
      cell: ({ startsAt, resolvedAt }) => (resolvedAt === null ? <Age at={startsAt} /> : <Time at={resolvedAt} />),
    },
  ];
}

/** The colour of a row is its severity; an alert that notifies no one says why. */
function State({ alert }: { readonly alert: Alert }) {
  const { text, tone } = stateOf(alert);
  if (alert.withheld !== null) return <Badge tone="plain">{text}</Badge>;
  return alert.state === "firing" ? <span class="only-wide">{text}</span> : <Badge tone={tone}>{text}</Badge>;
}
