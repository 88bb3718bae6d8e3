import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import { cursorOf, isFarPage, type PageRequest, pageBody, readPage } from "../../http/pagination.ts";
import type { FittingRows } from "../../store/sqlite/list-queries.ts";
import type { JobsOwn } from "./context.ts";
import * as queries from "./queries.ts";
import type { JobFilters, JobQuery } from "./schema.ts";
import { jobDetail, jobView } from "./view.ts";

/**
 * Among so many jobs a page is looked for at a time where no index helps: with ten million that have ended, rows which hardly any job passes
 * are found over several pages, none of which takes long.
 */
const SEARCHED_AT_ONCE = 100_000;

type View = (job: queries.JobLine) => ReturnType<typeof jobView>;

/** Reading the job table. */
export class JobList {
  readonly #context: JobsOwn;

  constructor(context: JobsOwn) {
    this.#context = context;
  }

  async list(caller: UserPrincipal, { limit, page, offset, cursor, ...filters }: JobQuery) {
    const request = readPage({ limit, page, offset, cursor }, ["number"]);
    const { read } = this.#context.db;
    const { first, last } = await queries.rangeOf(read, filters);
    const range = { first, last: request.after ? Math.min(last, Number(request.after[0]) - 1) : last };
    const view = (job: queries.JobLine) => jobView(job, caller);
    return request.wantsTotal
      ? this.#counted(request, filters, range, view)
      : this.#searched(request, filters, range, view);
  }

  /** @throws JOB_NOT_FOUND */
  async get(caller: UserPrincipal, id: string) {
    const { read } = this.#context.db;
    const job = isUuid(id) ? await queries.findJob(read, id) : undefined;
    if (!job) throw new PrismError("JOB_NOT_FOUND", "No such job");
    return jobDetail(job, await queries.attemptsOf(read, id), caller);
  }

  async #counted(request: PageRequest, filters: JobFilters, range: queries.SeqRange, view: View) {
    const { scan } = this.#context.db;
    const total = await queries.countSelected(scan, filters, range);
    const { rows, isCut } = await this.#rows(request, filters, range);
    return pageBody({ ...request, isCut }, rows, view, ({ seq }) => [seq], total);
  }

  async #searched(request: PageRequest, filters: JobFilters, range: queries.SeqRange, view: View) {
    const isByIndex = queries.isByIndex(filters);
    const first = isByIndex ? range.first : Math.max(range.first, range.last + 1 - SEARCHED_AT_ONCE);
    const { rows, isCut } = await this.#rows(request, filters, { first, last: range.last });
    const body = pageBody({ ...request, isCut }, rows, view, ({ seq }) => [seq]);
    // Nothing more among these, but there are older ones that nobody has looked at.
    return body.nextCursor === null && first > range.first ? { ...body, nextCursor: cursorOf([first]) } : body;
  }

  #rows(request: PageRequest, filters: JobFilters, range: queries.SeqRange): Promise<FittingRows<queries.JobLine>> {
    const { read, scan } = this.#context.db;
    const isPlain = Object.values(filters).every((filter) => filter === undefined) && !isFarPage(request);
    return queries.listJobs(isPlain ? read : scan, filters, range, { ...request, limit: request.limit + 1 });
  }
}
