import { useEffect, useState } from "preact/hooks";
import { api } from "../../app/api.ts";
import { type Matcher, matcherText, readMatchers } from "../../app/matchers.ts";
import { setParameters } from "../../app/navigate.ts";
import { type NodePath, nodeAt, pathOf, type RouteMatch, type RoutingDocument, withNode } from "./routing-types.ts";

/* A change that a link asks for, such as one of the reports: it is filled in, and people save it or not. */

const ABSENT = { propose: "", wait: "", by: "" };

interface Editing {
  readonly projectId: string;
  readonly document: RoutingDocument;
  readonly readOnly: boolean;
  readonly change: (document: RoutingDocument) => void;
}

/**
 * Fills in the change of the address, once: `propose=route` or `wait` (with `wait` in ms) adds a route for alerts
 * with `labels` below the one that takes them now, `inhibit` a rule by which the alerts `by` inhibit them.
 * @returns the route that was added
 */
export function useProposal({ projectId, document, readOnly, change }: Editing): NodePath | undefined {
  const [added, setAdded] = useState<NodePath>();
  useEffect(() => {
    const given = new URLSearchParams(location.search);
    const kind = given.get("propose") ?? "";
    const matchers = readMatchers(given.get("labels") ?? "");
    if (kind === "" || readOnly || matchers === undefined) return;
    setParameters(ABSENT, ABSENT);
    if (kind === "inhibit") {
      change(withInhibition(document, given.get("by") ?? "", matchers));
      return;
    }
    const labels = Object.fromEntries(matchers.map(({ name, value }) => [name, value]));
    const wait = Number(given.get("wait"));
    const add = async () => {
      const { matches } = await api.post<{ matches: readonly RouteMatch[] }>("/routes/test", { labels }, { projectId });
      const parent = pathOf(document.route, matches[0]?.path ?? []) ?? [];
      const node = nodeAt(document.route, parent) ?? document.route;
      const route = { matchers: matchers.map(matcherText), ...(wait > 0 ? { groupWaitMs: wait } : {}) };
      change({
        ...document,
        route: withNode(document.route, parent, { ...node, routes: [route, ...(node.routes ?? [])] }),
      });
      setAdded([...parent, 0]);
    };
    void add();
  }, []);
  return added;
}

/** Without labels that must be equal: both sides are named whole. */
function withInhibition(document: RoutingDocument, by: string, matchers: readonly Matcher[]): RoutingDocument {
  const rule = {
    name: "",
    sourceMatchers: (readMatchers(by) ?? []).map(matcherText),
    targetMatchers: matchers.map(matcherText),
    equal: [],
  };
  return { ...document, inhibitRules: [...document.inhibitRules, rule] };
}
