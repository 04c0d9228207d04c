//! DingTalk 钉钉: members and departments, CRM customers and contacts, callbacks, Stream mode, messages.
