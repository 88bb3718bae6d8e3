import { setTimeout as delay } from "node:timers/promises";
import type { Work } from "../../core/caller.ts";
import type { PrismError } from "../../core/errors.ts";
import { namesOwners } from "../../core/runtime.ts";
import type { Route } from "../api/route.ts";
import { bodyLimitOf } from "../body/body.ts";
import type { Exchange } from "../server/exchange.ts";
import { type Debt, parsedWork, readWork, SURE_BYTES, type WorkAccount, type WorkBudget } from "./work-budget.ts";

/** Verifying a password or a token of another issuer besides its thread, in work of a stored row. */
export const CHECK_ROWS = 4;

/** A name and a password, or a token, and what else a request to sign in has. */
const SIGN_IN_BYTES = 2048;

/** Charges requests to the account that pays for them; routes with `chargesItself` charge their bodies themselves. */
export class RequestWork {
  readonly #budget: WorkBudget;
  /** Of a copy without a leader: who owns what a request stores. */
  readonly ownerOf = namesOwners() ? (exchange: Exchange) => this.#ownerOf(exchange) : null;

  constructor(budget: WorkBudget) {
    this.#budget = budget;
  }

  /** Who pays for the work of a request: its caller, or its address; null: it is not charged. */
  payerOf(exchange: Exchange): WorkAccount | null {
    if (exchange.payer === undefined) exchange.payer = this.#findPayer(exchange);
    return exchange.payer;
  }

  #findPayer(exchange: Exchange): WorkAccount | null {
    const { principal, isControl, signerKey } = exchange;
    if (isControl) return null;
    if (principal)
      return isRead(exchange) ? this.#budget.ofReader(principal, "reads") : this.#budget.ofPrincipal(principal);
    return signerKey === null ? this.#budget.ofAddress(exchange.clientAddress) : this.#budget.ofSigner(signerKey);
  }

  /** The person, or a project that none owns; null: not known. */
  #ownerOf({ principal, projectId }: Exchange): string | null {
    if (principal) return topOf(this.#budget.ofPrincipal(principal));
    return projectId === null ? null : topOf(this.#budget.ofProject(projectId));
  }

  charge(exchange: Exchange, work: Work): void {
    this.#budget.charge(this.#exporterOf(exchange) ?? this.payerOf(exchange), work);
  }

  /** {@link charge}, of work that no size lets pass in debt. @throws WORK_LIMITED */
  pay(exchange: Exchange, work: Work): void {
    this.#budget.require(this.payerOf(exchange));
    this.charge(exchange, work);
  }

  /** @param isSmall as for `WorkBudget.require` */
  isInDebt(exchange: Exchange, isSmall: boolean): boolean {
    return this.#budget.debtOf(this.payerOf(exchange), isSmall) !== null;
  }

  /** Who pays for the rows of a streamed answer; null: it is none, or the operator's. */
  #exporterOf({ isStreaming, isControl, principal }: Exchange): WorkAccount | null {
    return isStreaming && !isControl && principal ? this.#budget.ofReader(principal, "exports") : null;
  }

  /** Holds an export back while earlier parts are not paid; null: not now. */
  pause(exchange: Exchange): Promise<void> | null {
    const exporter = this.#exporterOf(exchange);
    const debt = this.#budget.debtOf(exporter);
    return debt && this.#waited(exchange, debt.waitMs);
  }

  /** Waits, unless the client disconnects or the server ends the connection. */
  async #waited(exchange: Exchange, ms: number): Promise<void> {
    const ended = new AbortController();
    exchange.onAbort = () => ended.abort();
    await delay(ms, undefined, { signal: ended.signal }).catch(() => undefined);
    exchange.onAbort = null;
  }

  /**
   * Charges the check of a credential to its address, which is refused for its own debt only: the
   * caller may be one with rights. @throws WORK_LIMITED
   */
  beforeCheck({ isControl, clientAddress }: Sender, work: Work): void {
    if (isControl) return;
    const payer = this.#budget.ofAddress(clientAddress);
    this.#budget.require(payer, true);
    this.#budget.charge(payer, work);
  }

  /** Refuses a read of a known caller while its earlier ones are not paid. @throws WORK_LIMITED */
  beforeRead(exchange: Exchange, route: Route): void {
    if (isRead(exchange) && exchange.principal && route.chargesItself !== true)
      this.#budget.require(this.payerOf(exchange));
  }

  /** The answer to a known caller is charged by its length, besides its rows. */
  answered(exchange: Exchange, length: number): void {
    if (isRead(exchange) && exchange.principal) this.charge(exchange, { bytes: length });
  }

  /** Charges a body before it is read, and refuses it if its payer is in debt. @throws WORK_LIMITED */
  beforeBody(exchange: Exchange, route: Route): void {
    if (route.chargesItself === true) return;
    const signsIn = route.signsIn === true && !exchange.isControl;
    if (signsIn) exchange.payer = this.#budget.ofAddress(exchange.clientAddress, "sign-in");
    const payer = this.payerOf(exchange);
    const bytes = exchange.contentLength;
    // The limits of logins bound these, and do not refuse a known person for what others do.
    const isSure = signsIn && bytes > 0 && bytes <= SIGN_IN_BYTES;
    const debt = isSure ? null : this.#budget.debtOf(payer);
    if (debt !== null) {
      if (bytes > SURE_BYTES) throw this.#budget.refusal(debt);
      this.#budget.require(payer, true);
      // The length of chunks and gzip is known once they are read.
      if (bodyLimitOf(route, exchange) > SURE_BYTES) {
        exchange.maxBodyBytes = SURE_BYTES;
        exchange.debt = debt;
      }
    }
    // A longer body is refused unread.
    if (bytes <= bodyLimitOf(route, exchange)) this.charge(exchange, readWork(route.raw !== undefined, bytes));
  }

  /** Why a body is refused that is longer than one that passes in debt. */
  refusal(debt: Debt): PrismError {
    return this.#budget.refusal(debt);
  }

  /** A body whose length was not known before: of chunks, or inflated. */
  bodyRead(exchange: Exchange, route: Route, bytes: number): void {
    if (route.chargesItself !== true) this.charge(exchange, readWork(route.raw !== undefined, bytes));
  }

  /** A body that the handler may parse. */
  beforeRaw(exchange: Exchange, route: Route, body: Buffer): void {
    if (route.raw && route.chargesItself !== true)
      this.charge(exchange, parsedWork(exchange.header("content-type"), body));
  }
}

/** Where a credential came from. */
export type Sender = Pick<Exchange, "isControl" | "clientAddress">;

function topOf(account: WorkAccount | null): string | null {
  return account?.levels.at(-1)?.[1] ?? null;
}

function isRead({ method }: Exchange): boolean {
  return method === "GET" || method === "HEAD";
}
