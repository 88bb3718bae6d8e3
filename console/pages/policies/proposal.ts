import { useEffect, useState } from "preact/hooks";
import { api } from "../../app/api.ts";
import { isSameMatcher, type Labels, type Matcher, matcherText, readLabels, readMatchers } from "../../app/matchers.ts";
import { setParameters } from "../../app/navigate.ts";
import { type Saving, savingOfAddress } from "../../app/proposed.tsx";
import { toast } from "../../ui/index.ts";
import {
  type NodePath,
  nodeAt,
  pathOf,
  type RouteMatch,
  type RouteNode,
  type RoutingDocument,
  readAll,
  withNode,
} from "./routing-types.ts";

/* A change that a link asks for, such as one of the reports: it is filled in, and people save it or not. */

const ABSENT = { propose: "", wait: "", by: "", like: "", bylike: "", saves: "", pages: "" };

interface Editing {
  readonly projectId: string;
  readonly document: RoutingDocument;
  readonly readOnly: boolean;
  readonly change: (document: RoutingDocument) => void;
}

interface Filled {
  /** It is being made. */
  readonly isPending: boolean;
  /** The routes have it already. */
  readonly isKnown: boolean;
  /** The route that it changes or adds. */
  readonly path?: NodePath | undefined;
}

interface Proposal extends Filled {
  /** Null: nothing is proposed, or it is not known what it saves. */
  readonly saving: Saving | null;
}

/**
 * Fills in the change of the address, once. `labels` are the matchers of alerts, `like` are the labels of one of
 * them; `by` and `bylike` are those of other alerts. `propose=route`, `wait` (with `wait` in ms) and `group` change
 * the route that takes only these alerts now, or add one below the route that takes them; `group` is for both.
 * `inhibit` adds a rule by which the others inhibit them.
 */
export function useProposal({ projectId, document, readOnly, change }: Editing): Proposal {
  const [{ kind, matchers, saving, textOf }] = useState(givenByAddress);
  const isGiven = kind !== "" && !readOnly && matchers !== undefined;
  const [state, setState] = useState<Filled>({ isPending: isGiven, isKnown: false });
  useEffect(() => {
    if (!isGiven) return;
    const like = textOf("like");
    // What is tested is such an alert.
    setParameters({ ...ABSENT, ...(like === "" ? {} : { labels: like }) }, ABSENT);
    const fill = (next: RoutingDocument, path?: NodePath) => {
      const isKnown = JSON.stringify(next) === JSON.stringify(document);
      if (!isKnown) change(next);
      setState({ isPending: false, isKnown, path });
    };
    if (kind === "inhibit") {
      fill(withInhibition(document, textOf("by"), matchers));
      return;
    }
    const { route } = document;
    const wait = Number(textOf("wait"));
    const propose = async (): Promise<Proposed> => {
      const own = await placeOf(route, labelsOf(like, matchers), projectId);
      const others = readMatchers(textOf("by"));
      if (kind === "group" && others !== undefined) {
        const other = await placeOf(route, labelsOf(textOf("bylike"), others), projectId);
        return groupOfBoth(route, { ...own, matchers }, { ...other, matchers: others });
      }
      return { parent: own.path, matchers, settings: wait > 0 ? { groupWaitMs: wait } : {} };
    };
    propose().then(
      (proposed) => {
        const { root, path } = withRoute(route, proposed);
        fill({ ...document, route: root }, path);
      },
      (error: unknown) => {
        toast.error(error);
        setState({ isPending: false, isKnown: false });
      },
    );
  }, []);
  return { ...state, saving: isGiven ? saving : null };
}

function givenByAddress() {
  const given = new URLSearchParams(location.search);
  const textOf = (name: string) => given.get(name) ?? "";
  return { kind: textOf("propose"), matchers: readMatchers(textOf("labels")), saving: savingOfAddress(), textOf };
}

/** Labels of an alert; without them those that its matchers say. */
function labelsOf(like: string, matchers: readonly Matcher[]): Labels {
  const labels = readLabels(like) ?? {};
  return Object.keys(labels).length > 0 ? labels : Object.fromEntries(matchers.map(({ name, value }) => [name, value]));
}

/** Where alerts go now. */
interface Place {
  readonly path: NodePath;
  readonly policy: string | undefined;
  readonly groupLabels: Labels;
}

async function placeOf(route: RouteNode, labels: Labels, projectId: string): Promise<Place> {
  const { matches } = await api.post<{ matches: readonly RouteMatch[] }>("/routes/test", { labels }, { projectId });
  const [match] = matches;
  return {
    path: pathOf(route, match?.path ?? []) ?? [],
    policy: match?.policy.name,
    groupLabels: match?.groupLabels ?? {},
  };
}

interface Proposed {
  readonly parent: NodePath;
  readonly matchers: readonly Matcher[];
  readonly settings: Omit<RouteNode, "matchers" | "routes">;
}

type Alerts = Place & { readonly matchers: readonly Matcher[] };

/** A route that takes both, and groups them by what both are grouped by, without the name of the alert. */
function groupOfBoth(root: RouteNode, own: Alerts, other: Alerts): Proposed {
  const differs = own.path.findIndex((at, depth) => other.path[depth] !== at);
  const parent = differs < 0 ? own.path : own.path.slice(0, differs);
  const isName = ({ name }: Matcher) => name === "alertname";
  const common = own.matchers.filter(
    (each) => !isName(each) && other.matchers.some((theirs) => isSameMatcher(each, theirs)),
  );
  const names = [other, own].flatMap(({ matchers }) => matchers.filter(isName)).map(({ value }) => escaped(value));
  const name: Matcher = { name: "alertname", operator: "=~", value: [...new Set(names)].join("|") };
  const isBelow = nodeAt(root, parent) !== nodeAt(root, other.path);
  return {
    parent,
    matchers: names.length === 2 ? [name, ...common] : common,
    settings: {
      // The route above may have another one.
      ...(isBelow && other.policy !== undefined ? { policy: other.policy } : {}),
      groupBy: Object.keys(own.groupLabels).filter(
        (label) => label !== "alertname" && own.groupLabels[label] === other.groupLabels[label],
      ),
    },
  };
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/** Changes the route if it takes only such alerts, otherwise adds one as its first. */
function withRoute(root: RouteNode, { parent, matchers, settings }: Proposed) {
  const node = nodeAt(root, parent) ?? root;
  const trail = parent.flatMap((_, depth) => readAll(nodeAt(root, parent.slice(0, depth + 1))?.matchers));
  if (matchers.length > 0 && matchers.every((each) => trail.some((known) => isSameMatcher(each, known))))
    return { root: withNode(root, parent, { ...node, ...settings }), path: parent };
  const added: RouteNode = { matchers: matchers.map(matcherText), ...settings };
  return {
    root: withNode(root, parent, { ...node, routes: [added, ...(node.routes ?? [])] }),
    path: [...parent, 0],
  };
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
