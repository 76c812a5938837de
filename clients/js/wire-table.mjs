// Makes src/wire-table.js, the types of requests' payloads, of docs/wire.schema.json.
//
//   node clients/js/wire-table.mjs            # writes it
//   node clients/js/wire-table.mjs --check    # whether it is as it would be written

import { readFileSync, writeFileSync } from 'node:fs';

const SOURCE = new URL('../../docs/wire.schema.json', import.meta.url);
const TARGET = new URL('src/wire-table.js', import.meta.url);
const { $defs, requests } = JSON.parse(readFileSync(SOURCE, 'utf8'));

function typeOf(schema) {
  if (schema.$ref) return typeOf($defs[schema.$ref.split('/').at(-1)]);
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeOf))].join(' | ');
  if (schema.oneOf) return schema.oneOf.map(typeOf).join(' | ');
  if ('const' in schema) return JSON.stringify(schema.const);
  switch (schema.type) {
    case undefined: return 'any';
    case 'integer': return 'number';
    case 'array': return `${typeOf(schema.items)}[]`;
    case 'object': return objectOf(schema);
    default: return schema.type;
  }
}

function objectOf({ properties, additionalProperties, required = [] }) {
  if (!properties) return `Record<string, ${additionalProperties ? typeOf(additionalProperties) : 'any'}>`;
  const members = Object.entries(properties).map(([name, of]) => `${name}${required.includes(name) ? '' : '?'}: ${typeOf(of)}`);
  return members.length > 0 ? `{ ${members.join(', ')} }` : '{}';
}

const rows = Object.entries(requests).map(([type, schema]) => ` *   "${type}": ${typeOf(schema)},`);
const made = `// What each request may have (docs/protocol.md). It was made of docs/wire.schema.json by wire-table.mjs. Nothing here runs.

/**
 * @typedef {{
${rows.join('\n')}
 * }} Payloads
 */

export {};
`;

if (process.argv[2] === '--check') {
  if (readFileSync(TARGET, 'utf8') !== made) {
    console.error('clients/js/src/wire-table.js is not what docs/wire.schema.json says: node clients/js/wire-table.mjs');
    process.exitCode = 1;
  }
} else writeFileSync(TARGET, made);
