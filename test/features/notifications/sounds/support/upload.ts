import type { Reply, RequestOptions, TestPrism } from "../../../../helpers/prism.ts";

export interface Sound {
  readonly id: string;
  readonly filename: string;
  readonly mime: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly url: string;
  readonly urlExpiresAt: string;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly details?: readonly { ruleId?: string }[];
  };
}

/** The file as the body. */
export function upload(
  prism: TestPrism,
  filename: string,
  bytes: Buffer,
  { headers, ...options }: RequestOptions = {},
): Promise<Reply<Sound>> {
  return prism.post<Sound>(`/api/v1/sounds?filename=${encodeURIComponent(filename)}`, bytes, {
    ...options,
    headers: { "Content-Type": "application/octet-stream", ...headers },
  });
}

/** The path and query of a link, whatever host it names. */
export function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

/** Follows a link without credentials. */
export function follow(prism: TestPrism, url: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(prism.url + pathOf(url), { headers });
}
