import { type Column, Num, Time, UserText } from "../../ui/index.ts";
import { RuleState } from "./rule-state.tsx";
import type { Rule } from "./types.ts";

interface Shown {
  readonly projectOf: (id: string | null) => string;
  /** Each row has a switch, which says whether the rule is enabled. */
  readonly hasSwitch: boolean;
}

export function columnsOf({ projectOf, hasSwitch }: Shown, rules: readonly Rule[]): readonly Column<Rule>[] {
  const isSaid = ({ active, broken }: Rule) => !hasSwitch || (active && broken !== null);
  const state: Column<Rule> = {
    ...{ label: "State", width: "min", card: "aside" },
    cell: (rule) => isSaid(rule) && <RuleState rule={rule} />,
  };
  return [
    {
      label: "Rule",
      sortBy: "name",
      width: "wide",
      card: "title",
      cell: ({ name, condition }) => (
        <>
          <UserText lines={1}>{name}</UserText>
          <div class="mono faint ellipsis rule-condition" title={condition} dir="ltr">
            {condition}
          </div>
        </>
      ),
    },
    ...(rules.some(isSaid) ? [state] : []),
    {
      label: "Project",
      priority: 3,
      card: "meta",
      cell: ({ projectId }) => (
        <span class="nowrap" dir="auto">
          {projectOf(projectId)}
        </span>
      ),
    },
    {
      label: "Last fired",
      width: "min",
      card: "meta",
      cardLabel: true,
      cell: ({ activity }) => <Time at={activity?.lastFiredAt} empty="never" />,
    },
    {
      label: "Matches, 24 h",
      align: "end",
      priority: 2,
      cell: ({ activity }) => <Lately n={activity?.matched} isCut={activity?.isCut === true} />,
    },
    {
      label: "Fired, 24 h",
      align: "end",
      cell: ({ activity }) => <Lately n={activity?.fired} isCut={activity?.isCut === true} />,
    },
  ];
}

function Lately({ n = 0, isCut }: { readonly n: number | undefined; readonly isCut: boolean }) {
  return (
    <span class={n === 0 ? "faint" : ""}>
      <Num n={n} />
      {isCut && "+"}
    </span>
  );
}
