import type { NoiseReport } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { type Labels, matchersOf, matcherText } from "../../app/matchers.ts";
import { canInProject } from "../../app/memberships.ts";
import { useProjects } from "../../app/projects.ts";
import { savingParameters } from "../../app/proposed.tsx";
import { Button } from "../../ui/index.ts";

type NoisyKey = NoiseReport["data"][number];
type Suggestion = NoisyKey["suggestions"][number];

interface Change {
  readonly label: string;
  /** Below the console. */
  readonly path: string;
  readonly needs: "silences:write" | "policies:write";
}

/** The pages on which the change is made, with it filled in, the gentlest first. */
function changesOf(
  { kind, matchers, labels: like, withMatchers, withLabels, groupWaitMs, saves }: Suggestion,
  project: string,
  pages: number,
): readonly Change[] {
  const labels = matchers.join(", ");
  const to = (path: string, given: Readonly<Record<string, string>>) =>
    `${path}?${new URLSearchParams({ project, ...given, ...savingParameters({ saves, pages }) })}`;
  const routes = (given: Readonly<Record<string, string>>) =>
    to("/policies/routes", { labels, like: labelsText(like), ...given });
  const comment = `No one responded in 30 days; it would have saved ${saves} pages`;
  const route: Change = { label: "Change its route", path: routes({ propose: "route" }), needs: "policies:write" };
  switch (kind) {
    case "unacknowledged":
      return [
        route,
        { label: "Silence it", path: to("/silences/new", { labels, comment, for: "30d" }), needs: "silences:write" },
      ];
    case "brief":
      return [
        {
          label: "Wait before paging",
          path: routes({ propose: "wait", wait: String(groupWaitMs) }),
          needs: "policies:write",
        },
      ];
    default:
      return [
        {
          label: "Group it",
          path: routes({ propose: "group", by: withMatchers.join(", "), bylike: labelsText(withLabels) }),
          needs: "policies:write",
        },
        {
          label: "Inhibit it",
          path: routes({ propose: "inhibit", by: withMatchers.join(", ") }),
          needs: "policies:write",
        },
      ];
  }
}

/** As links take labels. */
function labelsText(labels: Labels): string {
  return matchersOf(labels).map(matcherText).join(", ");
}

/** What would help, as a sentence. */
export function helpText({ text }: Suggestion): string {
  return `${text.replaceAll("`", "")}.`;
}

/** Buttons that open the change which would help; without a label that all alerts have there is none. */
export function SuggestionActions({
  noisy,
  suggestion,
}: {
  readonly noisy: NoisyKey;
  readonly suggestion: Suggestion;
}) {
  const project = useProjects().find(({ id }) => id === noisy.projectId)?.slug ?? noisy.projectId;
  const changes = suggestion.matchers.length === 0 ? [] : changesOf(suggestion, project, noisy.pages);
  const shown = changes.filter(({ needs }) => canInProject(needs) === true);
  if (shown.length === 0) return null;
  return (
    <div class="inline report-changes">
      {shown.map(({ label, path }) => (
        <Button small key={label} href={href(path)}>
          {label}
        </Button>
      ))}
    </div>
  );
}
