//! What the house still shows of customers who were erased.

use jinke_proto::jinke::{customer::v1::GetCustomerRequest, pipeline::v1 as pb};

use super::world::World;

impl World {
    /// They answer that they were erased, and what stood at them says nothing and asks for nothing.
    pub async fn erased(&mut self) {
        let story = self.story();
        for number in self.model.erased.clone() {
            let request = GetCustomerRequest {
                name: format!("customers/{number}"),
                ..GetCustomerRequest::default()
            };
            let answer = self.api.customers.get_customer(request).await;
            let reason = jinke_kit::failure(&answer.expect_err("nobody")).reason;
            assert_eq!(reason, "CUSTOMER_ERASED", "{number}; {story}");
        }
        let request = pb::ListOpportunitiesRequest {
            page_size: 1_000,
            ..pb::ListOpportunitiesRequest::default()
        };
        let answer = self.sales.opportunities.list_opportunities(request).await;
        let list = answer.expect("opportunities").into_inner().opportunities;
        for o in list.iter().filter(|o| o.name != self.buoy()) {
            let sale = self.model.sales.iter().find(|s| s.name == o.name);
            let sale = sale.unwrap_or_else(|| panic!("{} was made; {story}", o.name));
            let gone = self.model.erased.contains(&sale.address);
            assert_eq!(o.erase_time.is_some(), gone, "{}; {story}", o.name);
            assert_eq!(o.outcome, sale.outcome, "{}; {story}", o.name);
            assert_eq!(
                o.display_name.ends_with("号商机"),
                !gone,
                "{}; {story}",
                o.name
            );
        }
        let request = pb::ListLeadsRequest {
            page_size: 1_000,
            ..pb::ListLeadsRequest::default()
        };
        let answer = self.sales.leads.list_leads(request).await;
        for l in answer.expect("leads").into_inner().leads {
            let told = !l.company.is_empty() || !l.phones.is_empty();
            assert_eq!(l.erase_time.is_none(), told, "{}; {story}", l.name);
        }
        let request = pb::ListTasksRequest {
            page_size: 1_000,
            ..pb::ListTasksRequest::default()
        };
        let answer = self.sales.tasks.list_tasks(request).await;
        for t in answer.expect("tasks").into_inner().tasks {
            let open = t.state() == pb::task::State::Open;
            assert_eq!(open, t.erase_time.is_none(), "{}; {story}", t.name);
            assert_eq!(open, !t.subject.is_empty(), "{}; {story}", t.name);
        }
    }
}
