// people.mjs - principals, credentials, grants and role tokens for the crash driver: see thing.mjs.
import assert from 'node:assert';
import { CallError } from '../support/keyvault.mjs';
import { Thing, VAULT, find, listed } from './thing.mjs';

const SERVICE = 'AccessService';

/** States: gone, live, ended (an id never comes back). */
export class Person extends Thing {
  id = null;
  epoch = null;
  grants = new Map(); // scope -> id, null: not told
  names = new Map(); // SAN URI -> id, null: not told

  static fresh(name) {
    return new Person(name);
  }

  mine(operation, method, request, more) {
    return this.step(operation, `${SERVICE}/${method}`, { principal_id: this.id, ...request },
      { admin: true, ...more });
  }

  steps(dice) {
    if (this.state === 'ended') return [];
    if (this.state === 'gone') {
      return [[1, this.step('PrincipalCreate', `${SERVICE}/CreatePrincipal`,
        { display_name: this.name, kind: 'SERVICE' }, { admin: true, to: 'live',
          happened: () => { this.title = this.name; },
          answered: ({ id, epoch }) => Object.assign(this, { id, epoch }) })]];
    }
    if (!this.id) return [];
    const title = `${this.name} ${dice.below(1e9)}`;
    return [[1, this.mine('PrincipalUpdate', 'UpdatePrincipal', { display_name: title },
      { happened: () => { this.title = title; } })],
    [1, this.mine('RoleTokenRevokePrincipal', 'RevokePrincipalTokens', {},
      { happened: () => { this.revoked = true; } })],
    ...(this.grants.size + this.names.size > 2 ? [] : // more is refused
      [[1, this.mine('PrincipalDelete', 'DeletePrincipal', {}, { to: 'ended' })]]),
    ...this.grantSteps(dice), ...this.credentialSteps(dice)];
  }

  grantSteps(dice) {
    const scope = `/vaults/${VAULT}/keys/g${dice.below(1e9)}`;
    const steps = this.grants.size < 3 ? [[3, this.mine('RoleAssign', 'AssignRole',
      { role: 'CRYPTO_USER', scope }, { happened: () => this.grants.set(scope, null),
        answered: ({ id }) => this.grants.set(scope, id) })]] : [];
    const [old, id] = [...this.grants].find((one) => one[1]) ?? [];
    if (id) {
      steps.push([2, this.mine('RoleAssignmentRemove', 'RemoveAssignment',
        { principal_id: undefined, assignment_id: id },
        { happened: () => this.grants.delete(old) })]);
    }
    return steps;
  }

  credentialSteps(dice) {
    const uri = `urn:keyvault:${this.name}:${dice.below(1e9)}`;
    const steps = this.names.size < 3 ? [[2, this.mine('CredentialAdd', 'AddCredential',
      { name_type: 'URI', value: uri }, { happened: () => this.names.set(uri, null),
        answered: ({ id }) => this.names.set(uri, id) })]] : [];
    const [old, id] = [...this.names].find((one) => one[1]) ?? [];
    if (id) {
      steps.push([1, this.mine('CredentialRemove', 'RemoveCredential',
        { principal_id: undefined, credential_id: id },
        { happened: () => this.names.delete(old) })]);
    }
    return steps;
  }

  async check(at) {
    const { admin } = at;
    const got = this.id ? await find(admin, `${SERVICE}/GetPrincipal`, { principal_id: this.id }) :
      (await listed(admin, `${SERVICE}/ListPrincipals`, {}, 'principals'))
        .find((one) => one.display_name === this.name);
    assert.strictEqual(!!got, this.state === 'live');
    if (!got) return;
    this.id ??= got.id;
    assert.strictEqual(got.display_name, this.title);
    this.epoch ??= got.epoch;
    if (this.revoked) assert(got.epoch > this.epoch, 'its role tokens are good again');
    else assert.strictEqual(got.epoch, this.epoch);
    Object.assign(this, { epoch: got.epoch, revoked: false });
    const grants = await listed(admin, `${SERVICE}/ListAssignments`, { principal_id: this.id },
      'assignments');
    this.compare(this.grants, grants, 'scope');
    this.compare(this.names, await listed(admin, `${SERVICE}/ListCredentials`,
      { principal_id: this.id }, 'credentials'), 'value');
  }

  /* The same set; what was never told is learned. */
  compare(known, list, member) {
    assert.deepStrictEqual(list.map((one) => one[member]).sort(), [...known.keys()].sort());
    for (const one of list) {
      assert([null, one.id].includes(known.get(one[member])), `${one[member]} has another id`);
      known.set(one[member], one.id);
    }
  }
}

/** A pinned certificate of a principal who is always there. */
export class Pin extends Thing {
  id = null;

  static fresh(name, dice, at) {
    const der = at.pins.pop();
    return der ? Object.assign(new Pin(name), { der, owner: at.owner }) : null;
  }

  steps() {
    if (this.state === 'gone') {
      return [[1, this.step('ManagementCertificateAdd', `${SERVICE}/AddManagementCertificate`,
        { principal_id: this.owner.id, certificate: this.der }, { admin: true, to: 'live',
          happened: () => { this.id = null; }, answered: ({ id }) => { this.id = id; } })]];
    }
    return this.id ? [[1, this.step('CredentialRemove', `${SERVICE}/RemoveCredential`,
      { credential_id: this.id }, { admin: true, to: 'gone' })]] : [];
  }

  async check({ admin }) {
    const got = (await listed(admin, `${SERVICE}/ListCredentials`,
      { principal_id: this.owner.id }, 'credentials'))
      .find((one) => one.certificate.equals(this.der));
    assert.strictEqual(!!got, this.state === 'live');
    if (got) this.id ??= got.id;
    assert.strictEqual(got?.id, this.state === 'live' ? this.id : undefined);
  }
}

/** A role token. States: gone (none was issued yet, or it is good), ended (revoked). */
export class RoleToken extends Thing {
  static fresh(name) {
    return new RoleToken(name);
  }

  steps(dice, at) {
    if (this.state === 'ended') return [];
    return [[1, this.step('RoleTokenRevoke', `${SERVICE}/RevokeRoleToken`, {}, { admin: true,
      to: 'ended',
      first: async () => {
        this.holder = at.owner;
        const { token, jti } = await at.owner.call(`${SERVICE}/IssueRoleToken`,
          { roles: ['READER'], scope: '/', ttl_seconds: 28800 }, { bearer: null });
        Object.assign(this, { token, jti });
        return { jti };
      } })]];
  }

  async check(at) {
    if (!this.token) return;
    const list = at.owner.call('VaultService/ListVaults', {}, { bearer: this.token });
    const code = await list.then(() => 'OK', (error) => {
      if (error instanceof CallError) return error.code;
      throw error;
    });
    assert.strictEqual(code, this.state === 'ended' ? 'UNAUTHENTICATED' : 'OK');
  }
}
