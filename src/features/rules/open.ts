import type { Context, Uses } from "../../module/feature.ts";
import { Backtests } from "./backtest.ts";
import { Decider } from "./deciding/decide.ts";
import { ReceiverRules } from "./deciding/receiver-rules.ts";
import { RuleBook } from "./deciding/rule-book.ts";
import { recordCostlyRules } from "./deciding/rule-costs.ts";
import { type PipelineMetrics, pipelineMetrics } from "./deciding/rule-stats.ts";
import { patternPool } from "./language/language.ts";
import { Absences } from "./over-time/absences.ts";
import { AlertLink } from "./over-time/alert-link.ts";
import { MatchCounts, storedMatches } from "./over-time/match-counts.ts";
import { OverTime } from "./over-time/over-time.ts";
import { Throttle } from "./throttle/throttle.ts";

/** Deciding events by rules. */
interface RulesOffers {
  readonly rules: RuleBook;
  /** The notifications of receivers. */
  readonly receiverRules: ReceiverRules;
  readonly throttle: Throttle;
  /** Rules that fire when nothing matches. */
  readonly absences: Absences;
  /** The alerts as rules know them. */
  readonly alertLink: AlertLink;
  readonly pipelineMetrics: PipelineMetrics;
  readonly decider: Decider;
  readonly backtests: Backtests;
}
declare module "../../module/feature.ts" {
  interface Offers extends RulesOffers {}
}

export function openRules(
  context: Context<"defaultProjectId" | "projects" | "channels">,
  later: () => Uses<"alerts">,
): RulesOffers {
  const { config, db, reader, committer, audit, clock, settings, projects, defaultProjectId, channels } = context;
  const log = context.log.namespace("rules");
  patternPool.limitBytes = config.limits.patternMemoryBytes;
  const counts = new MatchCounts(storedMatches(reader));
  const alertLink = new AlertLink(reader, log, () => later().alerts);
  const ownerOf = projects.ownerOf.bind(projects);
  const absences = new Absences({ db, reader, clock, log, link: alertLink, ownerOf });
  const rules = new RuleBook({
    ...{ reader, defaultProjectId, limits: config.limits, clock, log },
    onTooCostly: recordCostlyRules(db, audit, log),
    overTime: {
      put(rule) {
        counts.forget(rule.row.id);
        absences.put(rule);
      },
      remove: (id) => absences.remove(id),
    },
  });
  const throttle = Throttle.overTables(reader, () => settings.defaultSuppression);
  const receiverRules = new ReceiverRules(reader, () => settings.defaultSuppression);
  const decider = new Decider({
    ...{ book: rules, throttle, alerts: alertLink, receivers: receiverRules, channels },
    overTime: new OverTime({ counts, alerts: alertLink, absences }),
    offsets: committer.sequences.streams,
    settingsOf: settings.queue.bind(settings),
    isMirror: projects.isMirror.bind(projects),
  });
  committer.whenEpochFails(() => {
    throttle.reset();
    counts.reset();
    alertLink.reload(reader);
    absences.reset();
  });
  return {
    ...{ rules, receiverRules, throttle, absences, alertLink, decider },
    pipelineMetrics: pipelineMetrics(context.metrics),
    backtests: new Backtests(config.databaseFile),
  };
}
