// table.mjs - which roles may call which method, written by hand from the description of the
// roles. It must never be generated from the program or its output.

export const ROLES = ['ACCESS_ADMINISTRATOR', 'VAULT_OPERATOR', 'ISSUER_OFFICER',
  'CERTIFICATE_OFFICER', 'CERTIFICATE_IMPORTER', 'CERTIFICATE_READER', 'CERTIFICATE_USER',
  'CRYPTO_OFFICER', 'CRYPTO_USER', 'CRYPTO_WRAP_USER', 'SECRETS_OFFICER', 'SECRETS_USER',
  'READER', 'BACKUP_OPERATOR', 'RECOVERER', 'PURGE_OFFICER', 'APPROVER', 'AUDITOR',
  'ADMINISTRATOR'];

const AA = 'ACCESS_ADMINISTRATOR';
const VO = 'VAULT_OPERATOR';
const IO = 'ISSUER_OFFICER';
const CO = 'CERTIFICATE_OFFICER';
const CI = 'CERTIFICATE_IMPORTER';
const CR = 'CERTIFICATE_READER';
const CU = 'CERTIFICATE_USER';
const KO = 'CRYPTO_OFFICER';
const KU = 'CRYPTO_USER';
const KW = 'CRYPTO_WRAP_USER';
const SO = 'SECRETS_OFFICER';
const SU = 'SECRETS_USER';
const RD = 'READER';
const BO = 'BACKUP_OPERATOR';
const RC = 'RECOVERER';
const PO = 'PURGE_OFFICER';
const AU = 'AUDITOR';
const AD = 'ADMINISTRATOR';

/** Any known certificate may, with or without a role token. */
export const KNOWN = ['AccessService/WhoAmI', 'AccessService/IssueRoleToken',
  'AccessService/ListRoles', 'AccessService/ExplainAccess'];

/** method, or 'method what' where one method has two answers -> the roles that may. */
export const MAY = {
  'ServerService/GetServerStatus': [VO, RD],
  'ServerService/CheckServer': [VO, RD],

  'VaultService/CreateVault': [VO],
  'VaultService/GetVault': [VO, RD],
  'VaultService/ListVaults': [VO, RD],
  'VaultService/UpdateVault': [VO],
  'VaultService/DeleteVault': [VO],
  'VaultService/RecoverVault': [VO],
  'VaultService/PurgeVault': [PO],
  'VaultService/ListDeletedVaults': [VO, RD],

  'KeyService/CreateKey': [KO, AD],
  'KeyService/ImportKey': [KO, AD],
  'KeyService/GetRandomBytes': [CR, CU, KO, KU, KW, RD, RC, AD],
  'KeyService/GetKey': [CR, CU, KO, KU, KW, RD, RC, AD],
  'KeyService/ListKeys': [CR, CU, KO, KU, KW, RD, RC, AD],
  'KeyService/ListKeyVersions': [CR, CU, KO, KU, KW, RD, RC, AD],
  'KeyService/UpdateKey': [KO, AD],
  'KeyService/RotateKey': [KO, AD],
  'KeyService/GetKeyRotationPolicy': [KO, RD, AD],
  'KeyService/UpdateKeyRotationPolicy': [KO, AD],
  'KeyService/PermitKeyDestruction': [PO, AD],
  'KeyService/Sign': [KU, AD],
  'KeyService/Verify': [KU, AD],
  'KeyService/Encrypt': [KU, AD],
  'KeyService/Decrypt': [KU, AD],
  'KeyService/WrapKey': [KU, KW, AD],
  'KeyService/UnwrapKey': [KU, KW, AD],
  'KeyService/DeleteKey': [KO, AD],
  'KeyService/GetDeletedKey': [CR, CU, KO, KU, KW, RD, RC, AD],
  'KeyService/ListDeletedKeys': [CR, CU, KO, KU, KW, RD, RC, AD],
  'KeyService/RecoverDeletedKey': [KO, RC, AD],
  'KeyService/PurgeDeletedKey': [PO, AD],
  'KeyService/BackupKey': [BO, AD],
  'KeyService/RestoreKey': [BO, AD],

  'SecretService/SetSecret': [SO, AD],
  'SecretService/GetSecret of its own': [SU, AD],
  'SecretService/GetSecret of a certificate': [CU, AD],
  'SecretService/ListSecrets': [SO, SU, RD, RC, AD],
  'SecretService/ListSecretVersions': [SO, SU, RD, RC, AD],
  'SecretService/UpdateSecret': [SO, AD],
  'SecretService/DeleteSecret': [SO, AD],
  'SecretService/GetDeletedSecret': [SO, SU, RD, RC, AD],
  'SecretService/ListDeletedSecrets': [SO, SU, RD, RC, AD],
  'SecretService/RecoverDeletedSecret': [SO, RC, AD],
  'SecretService/PurgeDeletedSecret': [PO, AD],
  'SecretService/BackupSecret': [BO, AD],
  'SecretService/RestoreSecret': [BO, AD],

  'CertificateService/CreateCertificate': [CO, AD],
  'CertificateService/GetCertificateOperation': [CO, CI, CR, CU, RD, RC, AD],
  'CertificateService/DeleteCertificateOperation': [CO, AD],
  'CertificateService/CancelCertificateOperation': [CO, AD],
  'CertificateService/MergeCertificate': [CO, AD],
  'CertificateService/ImportCertificate': [CI, AD],
  'CertificateService/GetCertificate': [CO, CI, CR, CU, RD, RC, AD],
  'CertificateService/ListCertificates': [CO, CI, CR, CU, RD, RC, AD],
  'CertificateService/ListCertificateVersions': [CO, CI, CR, CU, RD, RC, AD],
  'CertificateService/GetCertificateChain': [CO, CI, CR, CU, RD, RC, AD],
  'CertificateService/UpdateCertificate': [CO, AD],
  'CertificateService/GetCertificatePolicy': [CO, CI, CR, CU, RD, RC, AD],
  'CertificateService/UpdateCertificatePolicy': [CO, AD],
  'CertificateService/DeleteCertificate': [CO, AD],
  'CertificateService/GetDeletedCertificate': [CO, CI, CR, CU, RD, RC, AD],
  'CertificateService/ListDeletedCertificates': [CO, CI, CR, CU, RD, RC, AD],
  'CertificateService/RecoverDeletedCertificate': [CO, RC, AD],
  'CertificateService/PurgeDeletedCertificate': [PO, AD],
  'CertificateService/BackupCertificate': [BO, AD],
  'CertificateService/RestoreCertificate': [BO, AD],

  'CertificateAuthorityService/CreateCertificateAuthority': [IO, AD],
  'CertificateAuthorityService/GetCertificateAuthority': [IO, CO, RD, AD],
  'CertificateAuthorityService/ListCertificateAuthorities': [IO, CO, RD, AD],
  'CertificateAuthorityService/ImportCertificateAuthorityCertificate': [IO, AD],
  'CertificateAuthorityService/UpdateCertificateAuthority': [IO, AD],
  'CertificateAuthorityService/RenewCertificateAuthority': [IO, AD],
  'CertificateAuthorityService/ListIssuedCertificates': [IO, CO, RD, AD],
  'CertificateAuthorityService/GetIssuedCertificate': [IO, CO, RD, AD],
  'CertificateAuthorityService/DeleteCertificateAuthority': [IO, AD],
  'CertificateAuthorityService/RevokeCertificate': [IO, AD],
  'CertificateAuthorityService/GetCertificateRevocationList': [IO, CO, RD, AD],

  'IssuerService/SetIssuer': [IO, AD],
  'IssuerService/GetIssuer': [IO, CO, RD, AD],
  'IssuerService/ListIssuers': [IO, CO, RD, AD],
  'IssuerService/UpdateIssuer': [IO, AD],
  'IssuerService/DeleteIssuer': [IO, AD],
  'IssuerService/CheckIssuer': [IO, AD],
  'IssuerService/RollAccountKey': [IO, AD],
  'IssuerService/RevokeIssuedCertificate': [IO, AD],

  'WebhookService/SetWebhook': [VO],
  'WebhookService/GetWebhook': [VO],
  'WebhookService/ListWebhooks': [VO, AU],
  'WebhookService/DeleteWebhook': [VO],
  'WebhookService/TestWebhook': [VO],
  'WebhookService/ListDeadLetters': [VO, AU],
  'WebhookService/RedeliverDeadLetters': [VO],
  'RenewalService/ListInventory': [CO, CI, CR, CU, RD, RC, AD],
  'RenewalService/GetForecast': [CO, CI, CR, CU, RD, RC, AD],
  'RenewalService/RenewAll': [IO, AD],

  'ContactService/SetContacts': [VO, AD],
  'ContactService/GetContacts': [VO, AD],
  'ContactService/DeleteContacts': [VO, AD],
  'ContactService/TestContacts': [VO, AD],

  'AccessService/WhoAmI': ROLES,
  'AccessService/IssueRoleToken': ROLES,
  'AccessService/ListRoles': ROLES,
  'AccessService/ExplainAccess': ROLES,
  'AccessService/RevokeRoleToken': [AA],
  'AccessService/RevokePrincipalTokens': [AA],
  'AccessService/CreatePrincipal': [AA],
  'AccessService/GetPrincipal': [AA, AU],
  'AccessService/ListPrincipals': [AA, AU],
  'AccessService/UpdatePrincipal': [AA],
  'AccessService/DeletePrincipal': [AA],
  'AccessService/AddCredential': [AA],
  'AccessService/AddManagementCertificate': [AA],
  'AccessService/ListCredentials': [AA, AU],
  'AccessService/RemoveCredential': [AA],
  'AccessService/AssignRole': [AA],
  'AccessService/ListAssignments': [AA, AU],
  'AccessService/WhoCan': [AA, AU],
  'AccessService/RemoveAssignment': [AA],

  /* What they are told of is judged for each event: tests/live/events. */
  'EventService/ListEvents': ROLES,
  'EventService/WatchEvents': ROLES,

  'AuditService/SearchAudit': [AU],
  'AuditService/ExportAudit': [AU],
  'AuditService/GetAuditStatus': [AU],
};
