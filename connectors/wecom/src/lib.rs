//! WeCom 企业微信: members and departments, external contacts, callbacks, messages.
