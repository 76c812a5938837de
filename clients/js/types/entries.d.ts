/** Their types. */
export const ENTRY: RegExp;
export function isEntry(payload: any): boolean;
