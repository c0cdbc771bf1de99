/** A document that cannot be read: what is wrong, and where when that is known. */
export class DocumentError extends Error {
  override readonly name = "DocumentError";
  constructor(
    message: string,
    /** Line and column of a syntax error, from 1. */
    readonly place?: { readonly line: number; readonly column: number },
  ) {
    super(message);
  }
}
