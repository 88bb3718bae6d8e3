import { ArrowDown, ArrowUp, Plus, Trash2 } from "lucide";
import { useEffect, useState } from "preact/hooks";
import type { RouteTraffic } from "../../../src/client/api-types.gen.ts";
import { DurationInput } from "../../app/duration-input.tsx";
import { MatcherChips, MatcherField } from "../../app/matcher-field.tsx";
import { matcherText } from "../../app/matchers.ts";
import {
  Badge,
  Button,
  Card,
  confirm,
  Field,
  formatDuration,
  IconButton,
  MultiCombobox,
  Select,
  Switch,
} from "../../ui/index.ts";
import { moved } from "./policy-types.ts";
import { type CountByPath, countsOf, Matched, TrafficNote } from "./route-traffic.tsx";
import {
  cleanNode,
  isSamePath,
  type NodePath,
  nodeAt,
  type RouteMatch,
  type RouteNode,
  readAll,
  trailText,
  withNode,
} from "./routing-types.ts";

interface Props {
  readonly root: RouteNode;
  readonly onChange: (root: RouteNode) => void;
  readonly policies: readonly string[];
  readonly intervals: readonly string[];
  readonly projectId: string;
  /** Results of the test: their routes are marked. */
  readonly hits: readonly RouteMatch[];
  readonly readOnly: boolean;
  /** Of the stored routes; undefined: they differ from these, or are not known. */
  readonly traffic: RouteTraffic | undefined;
  /** Its first answer is under way. */
  readonly isCounting: boolean;
  /** A route that was added by a link: it is chosen. */
  readonly added: NodePath | undefined;
}

/** The tree, and the form of the chosen route beside it. */
export function RouteTree(props: Props) {
  const { root, onChange, readOnly, traffic, isCounting, added } = props;
  const [chosen, setChosen] = useState<NodePath>([]);
  useEffect(() => added && setChosen(added), [added]);
  const path = nodeAt(root, chosen) ? chosen : [];
  const node = nodeAt(root, path) ?? root;
  const parent = nodeAt(root, path.slice(0, -1)) ?? root;
  const at = path.at(-1) ?? 0;
  const change = (next: RouteNode) => onChange(withNode(root, path, next));
  const addChild = () => {
    const routes = node.routes ?? [];
    change({ ...node, routes: [...routes, { matchers: [] }] });
    setChosen([...path, routes.length]);
  };
  const move = (to: number) => {
    onChange(withNode(root, path.slice(0, -1), { ...parent, routes: moved(parent.routes ?? [], at, to) }));
    setChosen([...path.slice(0, -1), to]);
  };
  const remove = async () => {
    const count = node.routes?.length ?? 0;
    const isSure =
      count === 0 ||
      (await confirm({
        title: "Remove this route?",
        text: `${count} routes below it go, too.`,
        action: "Remove",
        danger: true,
      }));
    if (!isSure) return;
    onChange(withNode(root, path, undefined));
    setChosen(path.slice(0, -1));
  };
  return (
    <div class="two">
      <Card title="Routes" sub="The first child that matches takes the alert, unless it continues with its siblings.">
        <ul class="route-tree" aria-label="Routes">
          <TreeNode
            {...props}
            node={root}
            path={[]}
            trail={["{}"]}
            chosen={path}
            onChoose={setChosen}
            counts={traffic && traffic.alerts > 0 ? countsOf(root, traffic) : NO_COUNTS}
          />
        </ul>
        {(traffic || isCounting) && <TrafficNote traffic={traffic} />}
      </Card>
      <Card
        title={path.length === 0 ? "The root" : "Route"}
        sub={path.length === 0 ? "It takes every alert that no child takes." : undefined}
        actions={
          readOnly ? undefined : (
            <span class="inline">
              {path.length > 0 && (
                <>
                  <IconButton
                    small
                    icon={ArrowUp}
                    label="Move the route up"
                    disabled={at === 0}
                    onClick={() => move(at - 1)}
                  />
                  <IconButton
                    small
                    icon={ArrowDown}
                    label="Move the route down"
                    disabled={at >= (parent.routes?.length ?? 0) - 1}
                    onClick={() => move(at + 1)}
                  />
                  <IconButton small icon={Trash2} label="Remove the route" onClick={remove} />
                </>
              )}
              <Button small icon={Plus} onClick={addChild}>
                Add a route below
              </Button>
            </span>
          )
        }
      >
        <NodeForm key={path.join()} {...props} node={node} isRoot={path.length === 0} onNode={change} />
      </Card>
    </div>
  );
}

const NO_COUNTS: CountByPath = new Map();

interface TreeProps extends Props {
  readonly node: RouteNode;
  readonly path: NodePath;
  /** Texts of the matchers from the root, as in the answer of the test. */
  readonly trail: readonly string[];
  readonly chosen: NodePath;
  readonly onChoose: (path: NodePath) => void;
  readonly counts: CountByPath;
}

function TreeNode({ node, path, trail, ...props }: TreeProps) {
  const matchers = readAll(node.matchers);
  const isHit = props.hits.some((hit) => hit.path.join("/") === trail.join("/"));
  const isMute = (node.muteIntervals?.length ?? 0) + (node.activeIntervals?.length ?? 0) > 0;
  return (
    <li>
      <button
        type="button"
        class={`route-node${isHit ? " hit" : ""}`}
        aria-current={isSamePath(path, props.chosen)}
        onClick={() => props.onChoose(path)}
      >
        {path.length === 0 ? (
          <span class="strong">every alert</span>
        ) : matchers.length === 0 ? (
          <span class="muted">matches everything</span>
        ) : (
          <MatcherChips matchers={matchers} />
        )}
        {node.policy !== undefined && (
          <span>
            → <bdi>{node.policy}</bdi>
          </span>
        )}
        {node.continue && <Badge tone="plain">continues</Badge>}
        {isMute && <Badge tone="plain">times</Badge>}
        {node.repeatMs !== undefined && <span class="muted small">every {formatDuration(node.repeatMs)}</span>}
        {isHit && <Badge tone="info">takes it</Badge>}
        {props.isCounting ? (
          <span class="muted small">matched … in 7 days</span>
        ) : (
          <Matched count={props.counts.get(path.join())} />
        )}
      </button>
      {(node.routes?.length ?? 0) > 0 && (
        <ul>
          {node.routes?.map((child, index) => (
            <TreeNode
              {...props}
              key={`${index} ${child.matchers?.join()}`}
              node={child}
              path={[...path, index]}
              trail={[...trail, trailText(readAll(child.matchers))]}
            />
          ))}
        </ul>
      )}
    </li>
  );
}

interface FormProps extends Props {
  readonly node: RouteNode;
  readonly isRoot: boolean;
  readonly onNode: (node: RouteNode) => void;
}

const ALL = "...";
/** Each with its label and the value of a root without it. */
const WAITS = [
  ["groupWaitMs", "First wait", "30 s"],
  ["groupIntervalMs", "New alerts", "5 min"],
  ["repeatMs", "Repetition", "4 h"],
] as const;
const INTERVALS = [
  ["muteIntervals", "Mute in"],
  ["activeIntervals", "Active only in"],
] as const;

function NodeForm({ node, isRoot, onNode, policies, intervals, projectId, readOnly }: FormProps) {
  const change = (part: { readonly [K in keyof RouteNode]?: RouteNode[K] | undefined }) =>
    onNode(cleanNode({ ...node, ...part }));
  const names = (list: readonly string[]) => list.map((value) => ({ value, label: value }));
  const inherited = isRoot ? undefined : "inherited";
  return (
    <div class="stack">
      {!isRoot && (
        <MatcherField
          matchers={readAll(node.matchers)}
          onChange={(matchers) => change({ matchers: matchers.map(matcherText) })}
          projectId={projectId}
        />
      )}
      <Field label="Policy">
        <Select
          value={node.policy ?? ""}
          onChange={(policy) => change({ policy: policy === "" ? undefined : policy })}
          options={names([...new Set([...policies, ...(node.policy ? [node.policy] : [])])])}
          placeholder={isRoot ? "default" : "As the route above"}
        />
      </Field>
      <Field label="Group by" hint={`Alerts with the same values are one incident. ${ALL}: all labels.`}>
        <MultiCombobox
          values={node.groupBy ?? []}
          onChange={(next) => change({ groupBy: next.length === 0 && !isRoot ? undefined : next })}
          options={names([ALL, "alertname", "instance", "job", "cluster", "severity"])}
          placeholder={inherited}
          custom
          disabled={readOnly}
        />
      </Field>
      <div class="route-waits">
        {WAITS.map(([name, label, initial]) => (
          <Field key={name} label={label}>
            <DurationInput
              label={label}
              value={node[name] ?? null}
              onChange={(ms) => change({ [name]: ms ?? undefined })}
              placeholder={inherited ?? initial}
            />
          </Field>
        ))}
      </div>
      {!isRoot && (
        <>
          <div class="grid2">
            {INTERVALS.map(([name, label]) => (
              <Field key={name} label={label}>
                <MultiCombobox
                  values={node[name] ?? []}
                  onChange={(chosen) => change({ [name]: chosen })}
                  options={names(intervals)}
                  disabled={readOnly}
                />
              </Field>
            ))}
          </div>
          <Switch
            checked={node.continue ?? false}
            onChange={(isOn) => change({ continue: isOn })}
            label="Continue: its siblings are tried, too"
            disabled={readOnly}
          />
        </>
      )}
    </div>
  );
}
